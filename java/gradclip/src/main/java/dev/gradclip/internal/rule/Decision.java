// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.rule;

import dev.gradclip.DType;
import dev.gradclip.NormRule;
import dev.gradclip.internal.reduce.ScaledNorm;
import java.util.Arrays;

/**
 * From norms to coefficients: what each part of a rule makes of the segments that it covers, wherever their norms come
 * from.
 */
public abstract class Decision {
    /** Per segment of gradients; what it is multiplied by. */
    private final double[] coefficients;

    /** True if a coefficient changes elements: {@code clips} does not count unscaling, {@code changes} does. */
    private boolean clips;

    private boolean changes;

    /** Until {@link #decide}, all is left as it is. */
    protected Decision(int segments) {
        coefficients = new double[segments];
        leave();
    }

    protected abstract int tensors();

    /** The first segment of a tensor; of one past the last, where the last one's end. */
    protected abstract int from(int tensor);

    protected abstract DType dtype(int tensor);

    /** 0 of a tensor that is absent. */
    protected abstract long elements(int tensor);

    /** The norm of the unscaled segments {@code [from, to)}; the next call overwrites it. */
    protected abstract ScaledNorm norm(int from, int to);

    /** Returns true if a tensor's weights were measured too. */
    protected abstract boolean hasWeights(int tensor);

    protected abstract double weightsNorm(int segment);

    /** Told of each tensor that has segments which are scaled, unscaling aside. */
    protected void clips(int tensor, int segments) {}

    public final void leave() {
        Arrays.fill(coefficients, 1);
        clips = false;
        changes = false;
    }

    /** Decides all coefficients; returns the factor of every gradient, or NaN where that is not one number. */
    public final double decide(ResolvedRule rule) {
        clips = false;
        changes = false;
        if (rule.isGlobal()) {
            double decided = decideTogether(0, tensors(), rule.parts[0].normRule());
            return NormLimit.ofScaled(decided, rule.inverseScale);
        }
        // What no part covers is unscaled all the same.
        if (!rule.coversAll) assign(0, tensors(), 1, rule.inverseScale);
        for (ResolvedRule.Part part : rule.parts) {
            NormRule norm = part.normRule();
            switch (norm.scope()) {
                case ALL, GROUP -> decideTogether(part.from(), part.to(), norm);
                case TENSOR -> {
                    for (int i = part.from(); i < part.to(); i++) decideTogether(i, i + 1, norm);
                }
                case ROW -> {
                    for (int i = part.from(); i < part.to(); i++) decideRows(i, norm);
                }
            }
        }
        return Double.NaN;
    }

    /** The factor of a segment; 1 until {@link #decide}. */
    public final double coefficient(int segment) {
        return coefficients[segment];
    }

    /** Returns true if a coefficient changes elements; unscaling is not counted. */
    public final boolean clips() {
        return clips;
    }

    /** Returns true if a coefficient changes elements; unscaling is counted. */
    public final boolean changes() {
        return changes;
    }

    private double decideTogether(int from, int to, NormRule rule) {
        long elements = 0;
        for (int i = from; i < to; i++) elements += elements(i);
        double decided = NormLimit.coefficient(rule, norm(from(from), from(to)), elements, 0);
        assign(from, to, decided, rule.inverseScale());
        return decided;
    }

    private void assign(int from, int to, double decided, double inverseScale) {
        double unscaled = NormLimit.ofScaled(decided, inverseScale);
        Arrays.fill(coefficients, from(from), from(to), unscaled);
        for (int i = from; i < to; i++) {
            if (elements(i) == 0) continue;
            changes |= NormLimit.changes(unscaled, dtype(i));
            if (!NormLimit.changes(decided, dtype(i))) continue;
            clips = true;
            clips(i, from(i + 1) - from(i));
        }
    }

    private void decideRows(int tensor, NormRule rule) {
        boolean adaptive = rule.form() == NormRule.Form.ADAPTIVE;
        boolean isLimited = !adaptive || hasWeights(tensor);
        DType dtype = dtype(tensor);
        int from = from(tensor);
        int to = from(tensor + 1);
        long elements = elements(tensor) / (to - from);
        int clipped = 0;
        for (int i = from; i < to; i++) {
            double decided = isLimited
                    ? NormLimit.coefficient(rule, norm(i, i + 1), elements, adaptive ? weightsNorm(i) : 0)
                    : 1;
            coefficients[i] = NormLimit.ofScaled(decided, rule.inverseScale());
            if (elements == 0) continue;
            changes |= NormLimit.changes(coefficients[i], dtype);
            if (NormLimit.changes(decided, dtype)) clipped++;
        }
        if (clipped == 0) return;
        clips = true;
        clips(tensor, clipped);
    }
}
