// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.rule;

import dev.gradclip.Convention;
import dev.gradclip.DType;
import dev.gradclip.NormRule;
import dev.gradclip.Scope;
import dev.gradclip.internal.reduce.ScaledNorm;

/**
 * From a norm to a coefficient, by one norm rule's numbers: the arithmetic of {@code gradclip::NormLimit} in
 * cuda/src/common/norms_and_coefficients.hpp. A rule of another form is one more case here and there.
 */
public final class NormLimit {
    private NormLimit() {}

    /** The most that normalizing multiplies by. */
    private static final double LARGEST = 0x1p127;

    /** Least norm that adaptive clipping divides by, in Optax and in timm. */
    private static final double LEAST_ADAPTIVE = 1e-6;

    /** The coefficient of a norm that is not finite; the ordinals cross JNI. */
    public enum AtNonFinite {
        /** The formula's: 0 for an infinite norm, NaN for NaN. */
        FORMULA,
        /** NaN for both. */
        NAN,
        /** 1 for NaN, which no comparison finds too large. */
        COMPARISON
    }

    /** The coefficient that a rule's convention has for a norm that is not finite. */
    public static AtNonFinite atNonFinite(NormRule rule) {
        boolean compares = rule.form() != NormRule.Form.NORMALIZE;
        if (rule.convention() == Convention.DL4J && compares) return AtNonFinite.COMPARISON;
        boolean global = rule.scope() == Scope.ALL && rule.form() == NormRule.Form.CLIP;
        boolean looks = rule.convention() == Convention.TENSORFLOW || rule.convention() == Convention.KERAS;
        return global && looks ? AtNonFinite.NAN : AtNonFinite.FORMULA;
    }

    /**
     * The factor of the unscaled gradients: 1 where the threshold is infinite, whatever the norm, and where all
     * elements are 0, which epsilon would otherwise clip.
     *
     * @param rule whose numbers count
     * @param norm theirs
     * @param elements how many there are, of {@link NormRule.Form#AVERAGE} and {@link NormRule.Form#RMS}
     * @param weightsNorm of {@link NormRule.Form#ADAPTIVE}
     */
    public static double coefficient(NormRule rule, ScaledNorm norm, long elements, double weightsNorm) {
        double max = rule.max();
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
            case NORMALIZE -> normalized(norm, max, rule.targetNorm());
            case ADAPTIVE -> adapted(norm, max * Math.max(weightsNorm, epsilon));
        };
    }

    /**
     * The factor of the gradients as they are: the coefficient of the unscaled ones times the unscaling, or the largest
     * double where that is more, for infinity would make NaN of zeros.
     */
    public static double ofScaled(double coefficient, double inverseScale) {
        return Math.min(coefficient * inverseScale, Double.MAX_VALUE);
    }

    /**
     * Returns true if a coefficient changes elements of a type: FLOAT64 takes it as it is, the others round it to float
     * first.
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
