// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * How gradients are clipped: a pure value that any clipper on any backend takes.
 *
 * <pre>{@code
 * ClipRule rule = ClipRule.globalNorm(1.0).withNonFinitePolicy(NonFinitePolicy.SKIP);
 * ClipResult result = clipper.clip(rule);
 * }</pre>
 */
public sealed interface ClipRule permits NormRule, ValueRule, GroupRule {
    /** PyTorch's epsilon, added to the norm before the threshold is divided by it. */
    double DEFAULT_EPSILON = Convention.PYTORCH.epsilon();

    /** The rule's name on the command line and in reports. */
    String name();

    /** What happens when a gradient holds a NaN or an infinity; {@link NonFinitePolicy#PROPAGATE} by default. */
    NonFinitePolicy nonFinitePolicy();

    /** The same rule under another policy. */
    ClipRule withNonFinitePolicy(NonFinitePolicy policy);

    /** What gradients are multiplied by before all else; 1 by default. */
    double inverseScale();

    /**
     * The same rule for gradients of a loss that was multiplied by {@code 1 / inverseScale}: norms are those of the gradients
     * times it, and one multiplication both unscales and clips. What is {@linkplain NonFinitePolicy#SKIP skipped} stays scaled.
     *
     * <pre>{@code
     * ClipResult result = clipper.clip(ClipRule.globalNorm(1.0).withInverseScale(1 / 65536.0));
     * }</pre>
     *
     * @throws IllegalArgumentException if it is not above 0 and finite
     */
    ClipRule withInverseScale(double inverseScale);

    /** The same rule for gradients that are all so many times as large. */
    ClipRule times(double factor);

    // ---- one norm over all ------------------------------------------------------------------------------------------

    /**
     * Scales all gradients by {@code min(1, maxNorm / (norm + 1e-6))}, norm taken over all of them (Pascanu et al. 2013;
     * PyTorch {@code clip_grad_norm_}).
     *
     * @param maxNorm 0 zeroes, infinity only measures
     * @throws IllegalArgumentException if maxNorm is negative or NaN
     */
    static NormRule globalNorm(double maxNorm) {
        return NormRule.of(NormRule.Form.CLIP, Scope.ALL, maxNorm, DEFAULT_EPSILON);
    }

    /**
     * Scales all gradients to a norm of {@code targetNorm}, up or down; a norm of 0 stays 0 (normalized gradient descent; {@link
     * Scope#TENSOR} or {@link Scope#GROUP} is DL4J's {@code RenormalizeL2PerParamType} or {@code PerLayer}, whose target norm is 1).
     * Unscaled norms below {@code targetNorm · 2^-127} are scaled by 2^127.
     *
     * @throws IllegalArgumentException if targetNorm is negative, infinite or NaN
     */
    static NormRule normalize(double targetNorm) {
        return normalizeAbove(0, targetNorm);
    }

    /**
     * Scales all gradients to a norm of {@code targetNorm} where their norm is above {@code maxNorm}; with the same number for both it is
     * {@link #globalNorm} with an epsilon of 0, with 1 for the target norm the form in which introductions give clipping, {@code g /
     * norm}.
     *
     * @throws IllegalArgumentException if maxNorm is negative or NaN, or targetNorm is negative, infinite or NaN
     */
    static NormRule normalizeAbove(double maxNorm, double targetNorm) {
        return new NormRule(
                NormRule.Form.NORMALIZE,
                Scope.ALL,
                maxNorm,
                targetNorm,
                NormType.L2,
                0,
                Convention.PYTORCH,
                1,
                NonFinitePolicy.PROPAGATE);
    }

    // ---- one norm each ----------------------------------------------------------------------------------------------

    /**
     * Scales each tensor by {@code min(1, maxNorm / (its norm + 1e-6))} (Keras {@code clipnorm}, TensorFlow {@code
     * clip_by_norm}).
     *
     * @param maxNorm 0 zeroes, infinity only measures
     * @throws IllegalArgumentException if maxNorm is negative or NaN
     */
    static NormRule perTensorNorm(double maxNorm) {
        return NormRule.of(NormRule.Form.CLIP, Scope.TENSOR, maxNorm, DEFAULT_EPSILON);
    }

    /**
     * Scales each row by {@code min(1, maxNorm / (its norm + 1e-6))}: a sample's gradient, where rows are samples (Opacus, Optax's
     * per-example clipping), or a unit's. Rows are bound by {@link GradientClipperBuilder#rows}.
     *
     * @param maxNorm 0 zeroes, infinity only measures
     * @throws IllegalArgumentException if maxNorm is negative or NaN
     */
    static NormRule perRowNorm(double maxNorm) {
        return NormRule.of(NormRule.Form.CLIP, Scope.ROW, maxNorm, DEFAULT_EPSILON);
    }

    /**
     * Scales each tensor by {@code min(1, maxNorm / (its norm / its elements))} (TensorFlow {@code clip_by_average_norm}).
     *
     * @throws IllegalArgumentException if maxNorm is negative or NaN
     */
    static NormRule averageNorm(double maxNorm) {
        return NormRule.of(NormRule.Form.AVERAGE, Scope.TENSOR, maxNorm, 0);
    }

    /**
     * Scales each tensor by {@code 1 / max(1, rms / maxRms)}, rms being {@code √(Σx² / elements)} (Optax {@code
     * clip_by_block_rms}, Adafactor's update clipping).
     *
     * @throws IllegalArgumentException if maxRms is negative or NaN
     */
    static NormRule blockRms(double maxRms) {
        return NormRule.of(NormRule.Form.RMS, Scope.TENSOR, maxRms, 0);
    }

    /**
     * Adaptive gradient clipping: scales each row, or unit, whose norm is not below {@code m = lambda · max(norm of its weights, 1e-3)}
     * by {@code m / max(its norm, 1e-6)} (Brock et al. 2021, "High-Performance Large-Scale Image Recognition Without
     * Normalization", algorithm 2; the comparison and the 1e-6 as Optax {@code adaptive_grad_clip} and timm have them). Weights are
     * bound by {@link GradientClipperBuilder#weights}; a tensor without is left as it is, as the paper advises for the last layer.
     *
     * @param lambda the paper's λ: 0.01 for batches of 4096, more for smaller ones
     * @throws IllegalArgumentException if lambda is negative or NaN
     */
    static NormRule adaptive(double lambda) {
        return adaptive(lambda, 1e-3);
    }

    /**
     * As {@link #adaptive(double)}, with another least norm that weights count with, so that those at 0 can move.
     *
     * @throws IllegalArgumentException if lambda is negative or NaN, or epsilon is negative, infinite or NaN
     */
    static NormRule adaptive(double lambda, double epsilon) {
        return NormRule.of(NormRule.Form.ADAPTIVE, Scope.ROW, lambda, epsilon);
    }

    /**
     * A rule of its own for each named group; tensors in other groups or in none are left as they are. An output layer may have a
     * wider range than hidden ones (Graves 2013 clamped an LSTM's derivatives to ±10 and its output's to ±100).
     *
     * <pre>{@code
     * ClipRule.perGroup(Map.of("hidden", ClipRule.value(10), "output", ClipRule.value(100)))
     * }</pre>
     *
     * @throws IllegalArgumentException if there is none, or they differ in more than form, scope and numbers: some clamp and others go
     *     by norm, or their norm types or policies differ
     */
    static GroupRule perGroup(Map<String, ? extends ClipRule> rules) {
        return new GroupRule(new LinkedHashMap<>(rules));
    }

    // ---- values -----------------------------------------------------------------------------------------------------

    /**
     * Clamps every element to {@code [-limit, limit]} (PyTorch {@code clip_grad_value_}, Keras {@code clipvalue}). Where the
     * limit is beyond an element type's largest number, such as 70000 for FLOAT16, that number is the limit.
     *
     * @param limit infinity for none
     * @throws IllegalArgumentException if limit is negative or NaN
     */
    static ValueRule value(double limit) {
        if (!(limit >= 0)) {
            throw new IllegalArgumentException("limit must be 0 or more, but is " + limit);
        }
        return value(-limit, limit + 0.0);
    }

    /**
     * Clamps every element to {@code [min, max]}, limits beyond an element type's largest number being that number.
     *
     * @throws IllegalArgumentException if either is NaN or min is above max
     */
    static ValueRule value(double min, double max) {
        return new ValueRule(min, max, 1, NonFinitePolicy.PROPAGATE);
    }
}
