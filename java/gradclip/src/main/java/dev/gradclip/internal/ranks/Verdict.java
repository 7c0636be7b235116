// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.ranks;

import dev.gradclip.NonFiniteGradientException;
import dev.gradclip.NonFinitePolicy;
import dev.gradclip.internal.reduce.ScaledNorm;
import dev.gradclip.internal.reduce.SegmentLayout;
import dev.gradclip.internal.rule.ResolvedRule;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** What all ranks do by a rule: the same everywhere, because it follows from the sums that all of them have. */
public final class Verdict {
    /** The exception that every rank throws under the policy ERROR; null if there is none. */
    public final @Nullable NonFiniteGradientException refusal;

    /** True if a NaN or an infinity was found on a rank. */
    public final boolean isNonFinite;

    /** True if the policy SKIP or a history leaves every gradient of every rank as it is. */
    public final boolean leaves;

    /** The norm over all gradients of all ranks, after unscaling; NaN if the rule measures none. */
    public final double globalNorm;

    /** The factor of every gradient; NaN if gradients have different factors. */
    public final double coefficient;

    /** The threshold that a history has for all gradients; NaN if there is none. */
    public final double threshold;

    private final GlobalSums sums;
    private final List<Shard> held;
    private final GlobalDecision decision;

    /**
     * Decides by a rule that is resolved for the tensors of all ranks.
     *
     * @param held what this rank holds of them
     * @param isZeroed true if a NaN or an infinity was found before, and set to 0
     * @param histories the blocks of the rule's histories, which this moves
     */
    public Verdict(GlobalSums sums, ResolvedRule rule, List<Shard> held, boolean isZeroed, double[] histories) {
        this.sums = sums;
        this.held = held;
        NonFiniteGradientException found = sums.nonFinite();
        isNonFinite = found != null || isZeroed;
        refusal = rule.policy() == NonFinitePolicy.ERROR ? found : null;
        boolean leavesByPolicy = isNonFinite && rule.policy() == NonFinitePolicy.SKIP;
        decision = new GlobalDecision(sums);
        if (rule.clamps()) {
            globalNorm = Double.NaN;
            coefficient = Double.NaN;
            threshold = Double.NaN;
            leaves = leavesByPolicy;
            return;
        }
        ScaledNorm norm = new ScaledNorm();
        sums.total(0, sums.layout().gradients(), norm);
        globalNorm = norm.value();
        boolean decides = !leavesByPolicy && refusal == null;
        coefficient = decides ? decision.decide(rule, histories, !isNonFinite) : 1;
        leaves = leavesByPolicy || decision.skips();
        threshold = rule.hasHistory && rule.isGlobal() && !isNonFinite ? decision.threshold() : Double.NaN;
    }

    /** The norm over all gradients of all ranks after clipping; NaN if gradients have different factors. */
    public double clippedNorm() {
        return decision.clippedNorm();
    }

    /** Returns true if a coefficient changes elements on some rank; unscaling is not counted. */
    public boolean clips() {
        return decision.clips();
    }

    /** Returns true if a coefficient changes elements on some rank; unscaling is counted. */
    public boolean changes() {
        return decision.changes();
    }

    /** The segment, counted over all ranks, of a row that this rank holds. */
    public int segment(int tensor, int row) {
        return sums.layout().from(tensor) + held.get(tensor).firstSegment() + row;
    }

    /** The factor of a segment, counted over all ranks. */
    public double coefficient(int segment) {
        return decision.coefficient(segment);
    }

    /** Writes the factor of each segment that this rank holds. */
    public void coefficients(SegmentLayout own, double[] to) {
        for (int i = 0; i < held.size(); i++) {
            if (held.get(i).length() == 0) continue;
            for (int row = 0; row < own.rows(i); row++) to[own.from(i) + row] = coefficient(segment(i, row));
        }
    }
}
