// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import dev.gradclip.internal.RuleTable;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** What a rule means for one clipper: which run of its tensors goes by which numbers. */
final class ResolvedRule {
    /** A run of tensors {@code [from, to)} that goes by one rule, which is not a {@link GroupRule}. */
    record Part(int from, int to, ClipRule rule) {
        NormRule normRule() {
            if (rule instanceof NormRule norm) return norm;
            throw new IllegalStateException("the rule measures no norm");
        }

        ValueRule valueRule() {
            if (rule instanceof ValueRule value) return value;
            throw new IllegalStateException("the rule does not clamp");
        }

        /** ALL is the run as a whole. */
        Scope scope() {
            return rule instanceof NormRule norm ? norm.scope() : Scope.ALL;
        }

        boolean onlyMeasures() {
            return rule instanceof NormRule norm && norm.onlyMeasures();
        }

        boolean isAdaptive() {
            return rule instanceof NormRule norm && norm.form() == NormRule.Form.ADAPTIVE;
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

    private ResolvedRule(ClipRule rule, Part[] parts, int tensors) {
        this.rule = rule;
        this.parts = parts;
        inverseScale = rule.inverseScale();
        policy = rule.nonFinitePolicy();
        normType = parts[0].rule() instanceof NormRule first ? first.normType() : null;
        boolean adaptive = false;
        boolean writes = false;
        for (Part part : parts) {
            adaptive |= part.isAdaptive();
            writes |= !part.onlyMeasures();
        }
        measuresParameters = adaptive;
        onlyMeasures = !writes;
        coversAll = parts.length == 1 && parts[0].from() == 0 && parts[0].to() == tensors;
    }

    /**
     * What a rule means here.
     *
     * @throws IllegalArgumentException if it names a group that is not there, or needs parameters and there are none
     */
    static ResolvedRule of(ClipRule rule, Map<String, Group> groups, Segments segments, int tensors) {
        ResolvedRule resolved = new ResolvedRule(rule, parts(rule, groups, tensors), tensors);
        if (resolved.measuresParameters && !segments.hasParameters()) {
            throw new IllegalArgumentException(
                    "adaptive clipping compares gradients with their parameters, but the clipper has"
                            + " none; bind them with builder().add(name, gradient).rows(units).parameter(weights)");
        }
        return resolved;
    }

    /** Of a rule for all it allocates no more than it keeps: a threshold may be another at each clip. */
    private static Part[] parts(ClipRule rule, Map<String, Group> groups, int tensors) {
        if (rule instanceof GroupRule perGroup) {
            List<Part> parts = new ArrayList<>();
            perGroup.rules().forEach((name, one) -> parts.add(part(group(name, groups), one)));
            return parts.toArray(new Part[0]);
        }
        if (rule instanceof NormRule norm && norm.scope() == Scope.GROUP) {
            if (groups.isEmpty()) {
                throw new IllegalArgumentException(
                        "scope GROUP needs groups, but the clipper has none; name them with builder().group(name)");
            }
            NormRule together = norm.withScope(Scope.ALL);
            return groups.values().stream().map(range -> part(range, together)).toArray(Part[]::new);
        }
        return new Part[] {new Part(0, tensors, rule)};
    }

    private static Part part(Group range, ClipRule rule) {
        return new Part(range.from(), range.to(), rule);
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
        NormRule limit = parts[0].normRule();
        if (isGlobal()) {
            table.norm(RuleTable.Scope.ALL, limit);
            return;
        }
        Scope scope = parts[0].scope();
        boolean perSegment = scope == Scope.ROW || (scope == Scope.TENSOR && segments.areTensors());
        if (coversAll && perSegment) {
            table.norm(RuleTable.Scope.SEGMENT, limit);
            return;
        }
        table.norm(RuleTable.Scope.PARTS, unlimited().withNormType(normType).withNonFinitePolicy(policy()));
        writeParts(table, segments);
    }

    private NormRule unlimited() {
        return ClipRule.globalNorm(Double.POSITIVE_INFINITY).unscale(inverseScale);
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
            table.addPart(from, to, perSegment, part.normRule());
            return;
        }
        for (int i = part.from(); i < part.to(); i++) {
            table.addPart(segments.from(i), segments.from(i + 1), false, part.normRule());
        }
    }

    private void writeRest(RuleTable table, int from, int to) {
        if (from == to) return;
        if (normType == null) table.addPart(from, to, Double.NEGATIVE_INFINITY, Double.POSITIVE_INFINITY);
        else table.addPart(from, to, true, unlimited());
    }
}
