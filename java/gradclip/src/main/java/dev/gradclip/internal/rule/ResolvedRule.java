// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.rule;

import dev.gradclip.ClipRule;
import dev.gradclip.GroupRule;
import dev.gradclip.History;
import dev.gradclip.NonFinitePolicy;
import dev.gradclip.NormRule;
import dev.gradclip.NormType;
import dev.gradclip.Scope;
import dev.gradclip.ValueRule;
import dev.gradclip.internal.reduce.NormKind;
import dev.gradclip.internal.reduce.SegmentLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** A rule resolved for one clipper: each part of it covers a range of the clipper's tensors. */
public final class ResolvedRule {
    /** The tensors {@code [from, to)} and the rule for them, which is not a {@link GroupRule}. */
    public record Part(int from, int to, ClipRule rule) {
        /** Returns the rule as a norm rule; throws if it clamps. */
        public NormRule normRule() {
            if (rule instanceof NormRule norm) return norm;
            throw new IllegalStateException("the rule measures no norm");
        }

        /** Returns the rule as a value rule; throws if it measures a norm. */
        public ValueRule valueRule() {
            if (rule instanceof ValueRule value) return value;
            throw new IllegalStateException("the rule does not clamp");
        }

        /** The rule's history; null if it has none. */
        public @Nullable History history() {
            return rule instanceof NormRule norm ? norm.history() : null;
        }

        /** The number of sets of elements that have a history each. */
        int histories() {
            if (history() == null) return 0;
            return scope() == Scope.TENSOR ? to - from : 1;
        }

        /** The scope of a coefficient; ALL means all tensors of this part. */
        public Scope scope() {
            return rule instanceof NormRule norm ? norm.scope() : Scope.ALL;
        }
    }

    private static final double[] NO_BLOCKS = {};

    public final ClipRule rule;

    /** An array, because a list's iterator would be allocated at each clip. */
    public final Part[] parts;

    public final double inverseScale;

    /** The type of norm measured; null if the rule clamps. */
    public final @Nullable NormType normType;

    public final boolean measuresWeights;

    /** True if there is one part and it covers all tensors. */
    public final boolean coversAll;

    /** True if the rule changes no gradient; its policy still may. */
    private final boolean onlyMeasures;

    /** True if a part has a history. */
    public final boolean hasHistory;

    private @Nullable HistoryMemory histories;

    private ResolvedRule(ClipRule rule, Part[] parts, int tensors) {
        this.rule = rule;
        this.parts = parts;
        inverseScale = rule.inverseScale();
        normType = parts[0].rule() instanceof NormRule first ? first.normType() : null;
        boolean adaptive = false;
        boolean writes = false;
        boolean remembers = false;
        for (Part part : parts) {
            remembers |= part.history() != null;
            adaptive |= part.rule() instanceof NormRule norm && norm.form() == NormRule.Form.ADAPTIVE;
            writes |= !(part.rule() instanceof NormRule norm && norm.onlyMeasures());
        }
        measuresWeights = adaptive;
        hasHistory = remembers;
        onlyMeasures = !writes;
        coversAll = parts.length == 1 && parts[0].from() == 0 && parts[0].to() == tensors;
    }

    /**
     * Resolves a rule for the tensors of one clipper.
     *
     * @throws IllegalArgumentException if the rule names a group that does not exist, or needs weights and there are
     *     none
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
     * Throws where the rule goes by samples and a tensor has another number of rows than the others. Not asked of a rank
     * alone, which holds some of the rows.
     *
     * @throws IllegalArgumentException naming the tensor
     */
    public ResolvedRule requireSamples(SegmentLayout segments, List<String> names) {
        for (Part part : parts) if (part.scope() == Scope.SAMPLE) requireSamples(part, segments, names);
        return this;
    }

    private static void requireSamples(Part part, SegmentLayout segments, List<String> names) {
        for (int i = part.from() + 1; i < part.to(); i++) {
            if (segments.rows(i) == segments.rows(part.from())) continue;
            throw new IllegalArgumentException(names.get(i) + " has " + segments.rows(i) + " rows, but "
                    + names.get(part.from()) + " has " + segments.rows(part.from())
                    + "; scope SAMPLE needs a row for each sample in every tensor: bind them with builder().add(name,"
                    + " gradient).rows(samples), or clip the others by a group's rule");
        }
    }

    /**
     * Returns the parts of a rule. A rule for all tensors needs one allocation only, because a clip with a changing
     * threshold resolves a new rule each time.
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

    /** Returns true if all tensors have one norm and one coefficient together. */
    public boolean isGlobal() {
        return rule instanceof NormRule norm && norm.hasOneCoefficient();
    }

    /** Returns true if each row of a tensor has a coefficient of its own. */
    public boolean hasRowCoefficients(int tensor) {
        for (Part part : parts) {
            boolean byRows = part.scope() == Scope.ROW || part.scope() == Scope.SAMPLE;
            if (byRows && part.from() <= tensor && tensor < part.to()) return true;
        }
        return false;
    }

    /** Returns true if one pass can measure and scale: the coefficient is known before, and no policy may undo it. */
    public boolean isLagged() {
        return isGlobal()
                && parts[0].history() instanceof History.Lagged
                && policy() == NonFinitePolicy.PROPAGATE
                && NormKind.of(normType()) != NormKind.POWER;
    }

    /** The policy, which all parts have. The rule itself may be a {@link GroupRule}, which allocates to answer. */
    public NonFinitePolicy policy() {
        return parts[0].rule().nonFinitePolicy();
    }

    // ---- histories --------------------------------------------------------------------------------------------------

    /**
     * What must be the same in another rule that goes on with the histories of this one: a fixed limit, an epsilon or an
     * inverse scale may differ.
     */
    public List<Object> historyKey() {
        List<Object> key = new ArrayList<>();
        for (Part part : parts) {
            History history = part.history();
            if (history != null) key.addAll(List.of(part.from(), part.to(), part.scope(), history, normType()));
        }
        return key;
    }

    private NormType normType() {
        NormType type = normType;
        if (type == null) throw new IllegalStateException("a rule that clamps has no history");
        return type;
    }

    /** Makes histories that have seen no norm. */
    public double[] beginHistories() {
        int length = 0;
        for (Part part : parts) {
            History history = part.history();
            if (history == null) continue;
            length = Math.addExact(length, Math.multiplyExact(part.histories(), HistoryForm.length(history)));
        }
        double[] blocks = new double[length];
        eachHistory((part, tensor, at) -> HistoryForm.begin(Objects.requireNonNull(part.history()), blocks, at));
        return blocks;
    }

    /** Does something for each history, in the order of their blocks. */
    public interface HistoryVisitor {
        /**
         * Visits one.
         *
         * @param tensor the tensor that it is of, or -1 if it is of the whole part
         * @param at where its block begins
         */
        void visit(Part part, int tensor, int at);
    }

    /** Visits each history. */
    public void eachHistory(HistoryVisitor visitor) {
        int at = 0;
        for (Part part : parts) {
            History history = part.history();
            if (history == null) continue;
            for (int i = 0; i < part.histories(); i++) {
                visitor.visit(part, part.scope() == Scope.TENSOR ? part.from() + i : -1, at);
                at += HistoryForm.length(history);
            }
        }
    }

    /** Gives the rule the memory of its histories. */
    public void remember(HistoryMemory memory) {
        histories = memory;
    }

    /** The memory of the rule's histories. */
    public HistoryMemory histories() {
        HistoryMemory memory = histories;
        if (memory == null) throw new IllegalStateException("the rule was given no memory of its histories");
        return memory;
    }

    /** The blocks of the rule's histories; none where it has none. */
    public double[] historyBlocks() {
        return hasHistory ? histories().blocks() : NO_BLOCKS;
    }

    /** Returns true if elements may be written. */
    public boolean mayWrite() {
        return !onlyMeasures || policy() == NonFinitePolicy.ZERO;
    }
}
