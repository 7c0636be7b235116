// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import dev.gradclip.internal.NormLimit;
import dev.gradclip.internal.ScaledNorm;
import java.util.Arrays;

/** From norms to coefficients: what each part of a rule makes of the segments that it covers, wherever their norms come from. */
abstract class Decision {
    /** Per segment of gradients; what it is multiplied by. */
    final double[] coefficients;

    /** Whether a coefficient, but for unscaling, changes elements; and with unscaling. */
    boolean clips;

    boolean changes;

    /** Until {@link #decide}, all is left as it is. */
    Decision(int segments) {
        coefficients = new double[segments];
        leave();
    }

    abstract int tensors();

    /** The first segment of a tensor; of one past the last, where the last one's end. */
    abstract int from(int tensor);

    abstract DType dtype(int tensor);

    /** 0 of a tensor that is absent. */
    abstract long elements(int tensor);

    /** Of the unscaled segments {@code [from, to)}; overwritten by the next call. */
    abstract ScaledNorm norm(int from, int to);

    /** Whether a tensor's weights were measured too. */
    abstract boolean hasParameter(int tensor);

    abstract double parameterNorm(int segment);

    /** Told of each tensor that has segments which are scaled, unscaling aside. */
    void clips(int tensor, int segments) {}

    final void leave() {
        Arrays.fill(coefficients, 1);
        clips = false;
        changes = false;
    }

    /** What everything is multiplied by, or NaN where that is not one number. */
    final double decide(ResolvedRule rule) {
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
            changes |= Coefficients.changes(unscaled, dtype(i));
            if (!Coefficients.changes(decided, dtype(i))) continue;
            clips = true;
            clips(i, from(i + 1) - from(i));
        }
    }

    private void decideRows(int tensor, NormRule rule) {
        boolean adaptive = rule.form() == NormRule.Form.ADAPTIVE;
        boolean isLimited = !adaptive || hasParameter(tensor);
        DType dtype = dtype(tensor);
        int from = from(tensor);
        int to = from(tensor + 1);
        long elements = elements(tensor) / (to - from);
        int clipped = 0;
        for (int i = from; i < to; i++) {
            double decided = isLimited
                    ? NormLimit.coefficient(rule, norm(i, i + 1), elements, adaptive ? parameterNorm(i) : 0)
                    : 1;
            coefficients[i] = NormLimit.ofScaled(decided, rule.inverseScale());
            if (elements == 0) continue;
            changes |= Coefficients.changes(coefficients[i], dtype);
            if (Coefficients.changes(decided, dtype)) clipped++;
        }
        if (clipped == 0) return;
        clips = true;
        clips(tensor, clipped);
    }
}
