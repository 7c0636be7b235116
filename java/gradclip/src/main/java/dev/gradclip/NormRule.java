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
 * @param max the threshold, 0 or more, infinity to measure only; λ of {@link Form#ADAPTIVE}; with a history the
 *     fixed limit beside its threshold
 * @param targetNorm the norm after {@link Form#NORMALIZE}; unused by other forms
 * @param normType the norm that is measured
 * @param epsilon added to the norm, 0 or more; with 0 a norm equal to the threshold is left unchanged; for
 *     {@link Form#ADAPTIVE} the least norm that weights count with
 * @param convention the library whose arithmetic is followed
 * @param inverseScale the factor that gradients are multiplied by before all else: {@link ClipRule#withInverseScale}
 * @param nonFinitePolicy the policy for gradients that hold a NaN or an infinity
 * @param history what is remembered of earlier norms, and the threshold that follows; null for none
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
        NonFinitePolicy nonFinitePolicy,
        @Nullable History history)
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
        if (history != null) requireHistory(history, form, scope);
    }

    private static void requireHistory(History history, Form form, Scope scope) {
        if (scope == Scope.ROW || scope == Scope.SAMPLE) {
            throw new IllegalArgumentException("rows have no history: row i of the next step is another sample; "
                    + history.name() + " takes the scope ALL, GROUP or TENSOR");
        }
        if (history.skips() && scope != Scope.ALL) {
            throw new IllegalArgumentException(history.name()
                    + " skips a step as a whole, by the norm over all: it takes the scope ALL, not " + scope);
        }
        if (history instanceof History.Lagged && scope != Scope.ALL) {
            throw new IllegalArgumentException("lagged takes the scope ALL, not " + scope);
        }
        Form wanted = history instanceof History.Stabilizer ? Form.NORMALIZE : Form.CLIP;
        if (form != wanted) {
            throw new IllegalArgumentException(history.name() + " takes the form " + wanted + ", not " + form);
        }
    }

    /** Makes a rule with the defaults of {@link ClipRule}'s methods. */
    static NormRule of(Form form, Scope scope, double max, double epsilon) {
        return new NormRule(
                form, scope, max, 0, NormType.L2, epsilon, Convention.PYTORCH, 1, NonFinitePolicy.PROPAGATE, null);
    }

    @Override
    public String name() {
        if (history != null) return history.name();
        return switch (form) {
            case CLIP ->
                switch (scope) {
                    case ALL -> "global-norm";
                    case GROUP -> "per-group-norm";
                    case TENSOR -> "per-tensor-norm";
                    case ROW -> "per-row-norm";
                    case SAMPLE -> "per-sample-norm";
                };
            case AVERAGE -> "average-norm";
            case RMS -> "block-rms";
            case NORMALIZE -> max == 0 ? "normalize" : "normalize-above";
            case ADAPTIVE -> "adaptive";
        };
    }

    /** Returns this rule with another scope. */
    public NormRule withScope(Scope value) {
        return new NormRule(
                form, value, max, targetNorm, normType, epsilon, convention, inverseScale, nonFinitePolicy, history);
    }

    /** Returns this rule with another norm type. */
    public NormRule withNormType(NormType type) {
        return new NormRule(
                form, scope, max, targetNorm, type, epsilon, convention, inverseScale, nonFinitePolicy, history);
    }

    /** Returns this rule with another epsilon. */
    public NormRule withEpsilon(double value) {
        return new NormRule(
                form, scope, max, targetNorm, normType, value, convention, inverseScale, nonFinitePolicy, history);
    }

    /** Returns this rule with a library's arithmetic and epsilon; {@link Form#ADAPTIVE} keeps its epsilon. */
    public NormRule withConvention(Convention value) {
        double added = form == Form.ADAPTIVE ? epsilon : value.epsilon();
        return new NormRule(
                form, scope, max, targetNorm, normType, added, value, inverseScale, nonFinitePolicy, history);
    }

    /**
     * Returns this rule with another fixed limit: {@link #max}, which counts beside the threshold that a history has.
     *
     * @throws IllegalArgumentException if maxNorm is negative or NaN
     */
    public NormRule withMaxNorm(double maxNorm) {
        return new NormRule(
                form,
                scope,
                maxNorm,
                targetNorm,
                normType,
                epsilon,
                convention,
                inverseScale,
                nonFinitePolicy,
                history);
    }

    /** Returns this rule with a history, or without one. */
    public NormRule withHistory(@Nullable History value) {
        return new NormRule(
                form, scope, max, targetNorm, normType, epsilon, convention, inverseScale, nonFinitePolicy, value);
    }

    @Override
    public NormRule withNonFinitePolicy(NonFinitePolicy policy) {
        return new NormRule(form, scope, max, targetNorm, normType, epsilon, convention, inverseScale, policy, history);
    }

    @Override
    public NormRule withInverseScale(double factor) {
        return new NormRule(
                form, scope, max, targetNorm, normType, epsilon, convention, factor, nonFinitePolicy, history);
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
                nonFinitePolicy,
                history == null ? null : history.times(factor));
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
                && normType.equals(that.normType)
                && Objects.equals(history, that.history);
    }

    @Override
    public int hashCode() {
        return 31 * (31 * Double.hashCode(max) + Double.hashCode(targetNorm)) + form.hashCode() + 31 * scope.hashCode();
    }

    /** Returns true if the rule can't change gradients, except by its policy. */
    public boolean onlyMeasures() {
        return max == Double.POSITIVE_INFINITY && inverseScale == 1 && history == null;
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
