// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.rule;

import dev.gradclip.Convention;
import dev.gradclip.DType;
import dev.gradclip.NormRule;
import dev.gradclip.Scope;
import dev.gradclip.internal.reduce.ScaledNorm;

/**
 * Makes a coefficient of a norm by the numbers of one norm rule, with the arithmetic of {@code gradclip::NormLimit} in
 * cuda/src/common/norms_and_coefficients.hpp. A new form of rule is one more case in both files.
 */
public final class NormLimit {
    private NormLimit() {}

    /** The largest factor of normalizing. */
    private static final double LARGEST = 0x1p127;

    /** The least norm that adaptive clipping divides by, in Optax and in timm. */
    private static final double LEAST_ADAPTIVE = 1e-6;

    /** The coefficient of a norm that is not finite; the ordinals cross JNI. */
    public enum AtNonFinite {
        /** The coefficient that the formula gives: 0 for an infinite norm, NaN for NaN. */
        FORMULA,
        /** NaN for an infinite norm and for NaN. */
        NAN,
        /** 1 for NaN, because no comparison finds NaN too large. */
        COMPARISON
    }

    /** Returns the coefficient that the rule's convention gives to a norm that is not finite. */
    public static AtNonFinite atNonFinite(NormRule rule) {
        boolean compares = rule.form() != NormRule.Form.NORMALIZE;
        if (rule.convention() == Convention.DL4J && compares) return AtNonFinite.COMPARISON;
        boolean global = rule.scope() == Scope.ALL && rule.form() == NormRule.Form.CLIP;
        boolean looks = rule.convention() == Convention.TENSORFLOW || rule.convention() == Convention.KERAS;
        return global && looks ? AtNonFinite.NAN : AtNonFinite.FORMULA;
    }

    /**
     * Returns the factor of the unscaled gradients. It is 1 if the threshold is infinite, whatever the norm, and if all
     * elements are 0, which epsilon would otherwise clip.
     *
     * @param norm the norm of the unscaled gradients
     * @param elements the number of elements; read by {@link NormRule.Form#AVERAGE} and {@link NormRule.Form#RMS}
     * @param weightsNorm the norm of the weights; read by {@link NormRule.Form#ADAPTIVE}
     */
    public static double coefficient(NormRule rule, ScaledNorm norm, long elements, double weightsNorm) {
        return coefficient(rule, rule.max(), rule.targetNorm(), norm, elements, weightsNorm);
    }

    /** Returns the factor by a threshold and a target of this step, which come from a history. */
    static double coefficient(
            NormRule rule, double max, double targetNorm, ScaledNorm norm, long elements, double weightsNorm) {
        double epsilon = rule.epsilon();
        if (max == Double.POSITIVE_INFINITY || norm.isOfZeros()) return 1;
        double count = (double) Math.max(elements, 1);
        if (!norm.isFinite()) {
            AtNonFinite instead = atNonFinite(rule);
            if (instead == AtNonFinite.NAN) return Double.NaN;
            if (instead == AtNonFinite.COMPARISON && Double.isNaN(norm.value())) return 1;
        }
        return switch (rule.form()) {
            case CLIP -> norm.coefficient(max, epsilon, 1);
            case AVERAGE -> norm.coefficient(max, epsilon, count);
            case RMS -> norm.coefficient(max, epsilon, Math.sqrt(count));
            case NORMALIZE -> normalized(norm, max, targetNorm);
            case ADAPTIVE -> adapted(norm, max * Math.max(weightsNorm, epsilon));
        };
    }

    /**
     * Returns the factor of the gradients before unscaling: the coefficient times the inverse scale, but at most the
     * largest double, because an infinite factor would turn zeros into NaN.
     */
    static double ofScaled(double coefficient, double inverseScale) {
        return Math.min(coefficient * inverseScale, Double.MAX_VALUE);
    }

    /**
     * Returns true if a coefficient changes elements of a type. FLOAT64 elements are multiplied by the coefficient
     * itself, all others by the coefficient rounded to float.
     */
    public static boolean changes(double coefficient, DType dtype) {
        return dtype == DType.FLOAT64 ? coefficient != 1 : (float) coefficient != 1;
    }

    private static double normalized(ScaledNorm norm, double max, double targetNorm) {
        double value = norm.value();
        if (value == 0 || value <= max) return 1;
        double q = norm.quotient(targetNorm, 0, 1);
        return q > LARGEST ? LARGEST : q;
    }

    private static double adapted(ScaledNorm norm, double limit) {
        double value = norm.value();
        if (value < limit || (value == 0 && limit == 0)) return 1;
        return value < LEAST_ADAPTIVE ? limit / LEAST_ADAPTIVE : norm.quotient(limit, 0, 1);
    }
}
