// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.rule;

import dev.gradclip.ClipRule;
import dev.gradclip.GroupRule;
import dev.gradclip.NonFinitePolicy;
import dev.gradclip.NormRule;
import dev.gradclip.NormType;
import dev.gradclip.Scope;
import dev.gradclip.ValueRule;
import dev.gradclip.internal.reduce.SegmentLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** A rule resolved for one clipper: the numbers for each run of its tensors. */
public final class ResolvedRule {
    /** A run of tensors {@code [from, to)} that goes by one rule, which is not a {@link GroupRule}. */
    public record Part(int from, int to, ClipRule rule) {
        /** The rule, where it goes by norms. */
        public NormRule normRule() {
            if (rule instanceof NormRule norm) return norm;
            throw new IllegalStateException("the rule measures no norm");
        }

        /** The rule, where it clamps. */
        public ValueRule valueRule() {
            if (rule instanceof ValueRule value) return value;
            throw new IllegalStateException("the rule does not clamp");
        }

        /** The scope of a coefficient; ALL is the run as a whole. */
        public Scope scope() {
            return rule instanceof NormRule norm ? norm.scope() : Scope.ALL;
        }

        boolean onlyMeasures() {
            return rule instanceof NormRule norm && norm.onlyMeasures();
        }

        boolean isAdaptive() {
            return rule instanceof NormRule norm && norm.form() == NormRule.Form.ADAPTIVE;
        }
    }

    public final ClipRule rule;
    /** An array: a list's iterator is an allocation a clip. */
    public final Part[] parts;

    public final double inverseScale;

    /** Asked at each clip, where a {@link GroupRule} would make an iterator to answer. */
    private final NonFinitePolicy policy;

    /** Null where it clamps. */
    public final @Nullable NormType normType;

    public final boolean measuresWeights;

    /** True if one part is all tensors. */
    public final boolean coversAll;

    /** True if it leaves every gradient as it is, unless by policy. */
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
        measuresWeights = adaptive;
        onlyMeasures = !writes;
        coversAll = parts.length == 1 && parts[0].from() == 0 && parts[0].to() == tensors;
    }

    /**
     * Resolves a rule.
     *
     * @throws IllegalArgumentException if it names a group that is not there, or needs parameters and there are none
     */
    public static ResolvedRule of(ClipRule rule, Map<String, TensorRange> groups, SegmentLayout segments, int tensors) {
        ResolvedRule resolved = new ResolvedRule(rule, parts(rule, groups, tensors), tensors);
        if (resolved.measuresWeights && !segments.hasWeights()) {
            throw new IllegalArgumentException(
                    "adaptive clipping compares gradients with their parameters, but the clipper has"
                            + " none; bind them with builder().add(name, gradient).rows(units).weights(weights)");
        }
        return resolved;
    }

    /**
     * The parts of a rule. For a rule for all tensors it allocates no more than it keeps: a threshold may be another at
     * each clip.
     */
    private static Part[] parts(ClipRule rule, Map<String, TensorRange> groups, int tensors) {
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

    private static Part part(TensorRange range, ClipRule rule) {
        return new Part(range.from(), range.to(), rule);
    }

    public static TensorRange group(String name, Map<String, TensorRange> groups) {
        TensorRange group = groups.get(name);
        if (group == null) {
            throw new IllegalArgumentException("there is no group '" + name + "'; the groups are " + groups.keySet());
        }
        return group;
    }

    public boolean clamps() {
        return normType == null;
    }

    /** Returns true if all tensors go by one norm and one coefficient. */
    public boolean isGlobal() {
        return rule instanceof NormRule norm && norm.hasOneCoefficient();
    }

    /** Returns true if a tensor's rows have coefficients of their own. */
    public boolean hasRowCoefficients(int tensor) {
        for (Part part : parts) {
            if (part.scope() == Scope.ROW && part.from() <= tensor && tensor < part.to()) return true;
        }
        return false;
    }

    public NonFinitePolicy policy() {
        return policy;
    }

    /** Returns true if elements may be written. */
    public boolean mayWrite() {
        return !onlyMeasures || policy() == NonFinitePolicy.ZERO;
    }
}
