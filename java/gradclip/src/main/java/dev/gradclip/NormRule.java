// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * A rule that multiplies gradients by a coefficient which follows from their norm. {@link ClipRule} has a method for
 * each rule known from other libraries; the {@code with…} methods refine it.
 *
 * <pre>{@code
 * ClipRule rule = ClipRule.normalize(1.0).withScope(Scope.TENSOR).withNormType(NormType.L1);
 * }</pre>
 *
 * @param form the formula from a norm to a coefficient
 * @param scope the elements that have one norm and one coefficient
 * @param max the threshold, 0 or more, infinity to measure only; λ of {@link Form#ADAPTIVE}
 * @param targetNorm the norm after {@link Form#NORMALIZE}; unused by other forms
 * @param normType the norm that is measured
 * @param epsilon added to the norm, 0 or more; with 0 a norm equal to the threshold is left unchanged; for
 *     {@link Form#ADAPTIVE} the least norm that weights count with
 * @param convention the library whose arithmetic is followed
 * @param inverseScale the factor that gradients are multiplied by before all else: {@link ClipRule#withInverseScale}
 * @param nonFinitePolicy the policy for gradients that hold a NaN or an infinity
 */
public record NormRule(
        Form form,
        Scope scope,
        double max,
        double targetNorm,
        NormType normType,
        double epsilon,
        Convention convention,
        double inverseScale,
        NonFinitePolicy nonFinitePolicy)
        implements ClipRule {

    /** The formula from a norm {@code n} to a coefficient; the ordinals cross JNI. */
    public enum Form {
        /** {@code min(1, max / (n + ε))}. */
        CLIP,
        /** {@link #CLIP}'s formula for {@code n / elements}. */
        AVERAGE,
        /** {@link #CLIP}'s formula for {@code n / √elements}, the root mean square for L2. */
        RMS,
        /** {@code n > max ? targetNorm / n : 1}; at most 2^127. */
        NORMALIZE,
        /** With {@code m = max · max(norm of the weights, ε)}: {@code n ≥ m ? m / max(n, 1e-6) : 1}. */
        ADAPTIVE
    }

    /** Checks each number. */
    public NormRule {
        Objects.requireNonNull(form, "form");
        Objects.requireNonNull(scope, "scope");
        Objects.requireNonNull(normType, "normType");
        Objects.requireNonNull(convention, "convention");
        Objects.requireNonNull(nonFinitePolicy, "nonFinitePolicy");
        if (!(max >= 0)) {
            String what = form == Form.ADAPTIVE ? "lambda" : form == Form.RMS ? "maxRms" : "maxNorm";
            throw new IllegalArgumentException(what + " must be 0 or more (infinity measures only), but is " + max);
        }
        max += 0.0; // -0.0 would flip the signs of what it zeroes
        if (!(targetNorm >= 0) || Double.isInfinite(targetNorm)) {
            throw new IllegalArgumentException("targetNorm must be finite and 0 or more, but is " + targetNorm);
        }
        targetNorm += 0.0;
        if (!(epsilon >= 0) || Double.isInfinite(epsilon)) {
            throw new IllegalArgumentException("epsilon must be finite and 0 or more, but is " + epsilon);
        }
        requireInverseScale(inverseScale);
        if (form == Form.ADAPTIVE && scope != Scope.ROW) {
            throw new IllegalArgumentException("adaptive clipping goes by units, scope ROW, not " + scope
                    + "; a tensor bound without rows is one unit");
        }
    }

    /** Makes a rule with the defaults of {@link ClipRule}'s methods. */
    static NormRule of(Form form, Scope scope, double max, double epsilon) {
        return new NormRule(
                form, scope, max, 0, NormType.L2, epsilon, Convention.PYTORCH, 1, NonFinitePolicy.PROPAGATE);
    }

    @Override
    public String name() {
        return switch (form) {
            case CLIP ->
                switch (scope) {
                    case ALL -> "global-norm";
                    case GROUP -> "per-group-norm";
                    case TENSOR -> "per-tensor-norm";
                    case ROW -> "per-row-norm";
                };
            case AVERAGE -> "average-norm";
            case RMS -> "block-rms";
            case NORMALIZE -> max == 0 ? "normalize" : "normalize-above";
            case ADAPTIVE -> "adaptive";
        };
    }

    /** Returns this rule with another scope. */
    public NormRule withScope(Scope value) {
        return new NormRule(form, value, max, targetNorm, normType, epsilon, convention, inverseScale, nonFinitePolicy);
    }

    /** Returns this rule with another norm type. */
    public NormRule withNormType(NormType type) {
        return new NormRule(form, scope, max, targetNorm, type, epsilon, convention, inverseScale, nonFinitePolicy);
    }

    /** Returns this rule with another epsilon. */
    public NormRule withEpsilon(double value) {
        return new NormRule(form, scope, max, targetNorm, normType, value, convention, inverseScale, nonFinitePolicy);
    }

    /** Returns this rule with a library's arithmetic and epsilon; {@link Form#ADAPTIVE} keeps its epsilon. */
    public NormRule withConvention(Convention value) {
        double added = form == Form.ADAPTIVE ? epsilon : value.epsilon();
        return new NormRule(form, scope, max, targetNorm, normType, added, value, inverseScale, nonFinitePolicy);
    }

    @Override
    public NormRule withNonFinitePolicy(NonFinitePolicy policy) {
        return new NormRule(form, scope, max, targetNorm, normType, epsilon, convention, inverseScale, policy);
    }

    @Override
    public NormRule withInverseScale(double factor) {
        return new NormRule(form, scope, max, targetNorm, normType, epsilon, convention, factor, nonFinitePolicy);
    }

    @Override
    public NormRule times(double factor) {
        boolean adaptive = form == Form.ADAPTIVE;
        return new NormRule(
                form,
                scope,
                max * factor,
                targetNorm * factor,
                normType,
                adaptive ? epsilon : epsilon * factor,
                convention,
                inverseScale,
                nonFinitePolicy);
    }

    /**
     * Written out, like {@link #hashCode}: each clip compares rules, and a record's generated method is linked at its
     * first call, which made the second clip of a JVM take 47 ms instead of 2.4.
     */
    @Override
    public boolean equals(@Nullable Object other) {
        return other instanceof NormRule that
                && form == that.form
                && scope == that.scope
                && Double.compare(max, that.max) == 0
                && Double.compare(targetNorm, that.targetNorm) == 0
                && Double.compare(epsilon, that.epsilon) == 0
                && convention == that.convention
                && Double.compare(inverseScale, that.inverseScale) == 0
                && nonFinitePolicy == that.nonFinitePolicy
                && normType.equals(that.normType);
    }

    @Override
    public int hashCode() {
        return 31 * (31 * Double.hashCode(max) + Double.hashCode(targetNorm)) + form.hashCode() + 31 * scope.hashCode();
    }

    /** Returns true if the rule can't change gradients, except by its policy. */
    public boolean onlyMeasures() {
        return max == Double.POSITIVE_INFINITY && inverseScale == 1;
    }

    /** Returns true if the rule has one coefficient for all tensors. */
    public boolean hasOneCoefficient() {
        return scope == Scope.ALL;
    }

    static void requireInverseScale(double factor) {
        if (factor > 0 && factor != Double.POSITIVE_INFINITY) return;
        throw new IllegalArgumentException("inverseScale must be above 0 and finite, but is " + factor);
    }
}
