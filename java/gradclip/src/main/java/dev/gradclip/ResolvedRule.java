// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import dev.gradclip.internal.NormLimit;
import dev.gradclip.internal.RuleTable;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** What a rule means for one clipper: which run of its tensors goes by which numbers. */
final class ResolvedRule {
    /**
     * A run of tensors {@code [from, to)} that goes by one rule.
     *
     * @param scope of a norm rule; ALL is the run as a whole
     * @param limit of a norm rule
     * @param value of a clamp
     */
    record Part(
            int from,
            int to,
            Scope scope,
            @Nullable NormLimit limit,
            @Nullable ValueRule value) {
        NormLimit normLimit() {
            if (limit == null) throw new IllegalStateException("the rule measures no norm");
            return limit;
        }

        ValueRule valueRule() {
            if (value == null) throw new IllegalStateException("the rule does not clamp");
            return value;
        }
    }

    final ClipRule rule;
    /** An array: a list's iterator is an allocation a clip. */
    final Part[] parts;

    final double inverseScale;

    /** Asked at each clip, where a {@link GroupRule} would make an iterator to answer. */
    private final NonFinitePolicy policy;

    /** Null where it clamps. */
    final @Nullable NormType normType;

    final boolean measuresParameters;

    /** Whether one part is all tensors. */
    final boolean coversAll;

    /** Whether it leaves every gradient as it is, unless by policy. */
    final boolean onlyMeasures;

    private ResolvedRule(ClipRule rule, List<Part> parts, List<ClipRule> each, int tensors) {
        this.rule = rule;
        this.parts = parts.toArray(new Part[0]);
        inverseScale = rule.inverseScale();
        policy = rule.nonFinitePolicy();
        normType = each.get(0) instanceof NormRule first ? first.normType() : null;
        boolean adaptive = false;
        boolean writes = false;
        for (ClipRule one : each) {
            adaptive |= one instanceof NormRule norm && norm.form() == NormRule.Form.ADAPTIVE;
            writes |= !(one instanceof NormRule norm && norm.onlyMeasures());
        }
        measuresParameters = adaptive;
        onlyMeasures = !writes;
        coversAll =
                parts.size() == 1 && parts.get(0).from() == 0 && parts.get(0).to() == tensors;
    }

    /**
     * What a rule means here.
     *
     * @throws IllegalArgumentException if it names a group that is not there, or needs parameters and there are none
     */
    static ResolvedRule of(ClipRule rule, Map<String, Group> groups, Segments segments, int tensors) {
        List<Part> parts = new ArrayList<>();
        List<ClipRule> each = new ArrayList<>();
        if (rule instanceof GroupRule perGroup) {
            perGroup.rules().forEach((name, one) -> {
                add(group(name, groups), one, parts);
                each.add(one);
            });
        } else if (rule instanceof NormRule norm && norm.scope() == Scope.GROUP) {
            if (groups.isEmpty()) {
                throw new IllegalArgumentException(
                        "scope GROUP needs groups, but the clipper has none; name them with builder().group(name)");
            }
            groups.values().forEach(range -> add(range, norm.withScope(Scope.ALL), parts));
            each.add(rule);
        } else {
            add(new Group(0, tensors), rule, parts);
            each.add(rule);
        }
        ResolvedRule resolved = new ResolvedRule(rule, parts, each, tensors);
        if (resolved.measuresParameters && !segments.hasParameters()) {
            throw new IllegalArgumentException(
                    "adaptive clipping compares gradients with their parameters, but the clipper has"
                            + " none; bind them with builder().add(name, gradient).rows(units).parameter(weights)");
        }
        return resolved;
    }

    private static void add(Group range, ClipRule rule, List<Part> to) {
        if (rule instanceof NormRule norm) {
            to.add(new Part(range.from(), range.to(), norm.scope(), NormLimit.of(norm), null));
        } else {
            to.add(new Part(range.from(), range.to(), Scope.ALL, null, (ValueRule) rule));
        }
    }

    static Group group(String name, Map<String, Group> groups) {
        Group group = groups.get(name);
        if (group == null) {
            throw new IllegalArgumentException("there is no group '" + name + "'; the groups are " + groups.keySet());
        }
        return group;
    }

    boolean clamps() {
        return normType == null;
    }

    /** Whether all tensors go by one norm and one coefficient. */
    boolean isGlobal() {
        return rule instanceof NormRule norm && norm.hasOneCoefficient();
    }

    /** Whether a tensor's rows have coefficients of their own. */
    boolean hasRowCoefficients(int tensor) {
        for (Part part : parts) {
            if (part.scope() == Scope.ROW && part.from() <= tensor && tensor < part.to()) return true;
        }
        return false;
    }

    NonFinitePolicy policy() {
        return policy;
    }

    /** Whether elements may be written. */
    boolean mayWrite() {
        return !onlyMeasures || policy() == NonFinitePolicy.ZERO;
    }

    /** Writes it for a device. */
    void write(RuleTable table, Segments segments) {
        if (normType == null) {
            ValueRule first = parts[0].valueRule();
            table.value(first.min(), first.max(), inverseScale, policy());
            if (!coversAll) writeParts(table, segments);
            return;
        }
        NormLimit limit = parts[0].normLimit();
        if (isGlobal()) {
            table.norm(RuleTable.Scope.ALL, normType, limit, policy());
            return;
        }
        Scope scope = parts[0].scope();
        boolean perSegment = scope == Scope.ROW || (scope == Scope.TENSOR && segments.areTensors());
        if (coversAll && perSegment) {
            table.norm(RuleTable.Scope.SEGMENT, normType, limit, policy());
            return;
        }
        table.norm(RuleTable.Scope.PARTS, normType, unlimited(), policy());
        writeParts(table, segments);
    }

    private NormLimit unlimited() {
        return NormLimit.of(ClipRule.globalNorm(Double.POSITIVE_INFINITY).unscale(inverseScale));
    }

    /** In ascending order, with what is between them. */
    private void writeParts(RuleTable table, Segments segments) {
        List<Part> ascending = new ArrayList<>(List.of(parts));
        ascending.sort(Comparator.comparingInt(Part::from));
        int next = 0;
        for (Part part : ascending) {
            if (part.from() == part.to()) continue;
            writeRest(table, segments.from(next), segments.from(part.from()));
            writePart(table, segments, part);
            next = part.to();
        }
        writeRest(table, segments.from(next), segments.gradients());
    }

    private void writePart(RuleTable table, Segments segments, Part part) {
        int from = segments.from(part.from());
        int to = segments.from(part.to());
        if (normType == null) {
            table.addPart(from, to, part.valueRule().min(), part.valueRule().max());
            return;
        }
        boolean eachIsTensor = to - from == part.to() - part.from();
        boolean perSegment = part.scope() == Scope.ROW || (part.scope() == Scope.TENSOR && eachIsTensor);
        if (part.scope() != Scope.TENSOR || perSegment) {
            table.addPart(from, to, perSegment, part.normLimit());
            return;
        }
        for (int i = part.from(); i < part.to(); i++) {
            table.addPart(segments.from(i), segments.from(i + 1), false, part.normLimit());
        }
    }

    private void writeRest(RuleTable table, int from, int to) {
        if (from == to) return;
        if (normType == null) table.addPart(from, to, Double.NEGATIVE_INFINITY, Double.POSITIVE_INFINITY);
        else table.addPart(from, to, true, unlimited());
    }
}
