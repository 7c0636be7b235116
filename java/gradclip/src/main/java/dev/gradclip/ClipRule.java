// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * A rule by which gradients are clipped: an immutable value that any clipper on any backend takes.
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

    /** The policy for gradients that hold a NaN or an infinity; {@link NonFinitePolicy#PROPAGATE} by default. */
    NonFinitePolicy nonFinitePolicy();

    /** Returns this rule with another policy. */
    ClipRule withNonFinitePolicy(NonFinitePolicy policy);

    /** The factor that gradients are multiplied by before all else; 1 by default. */
    double inverseScale();

    /**
     * Returns this rule for gradients of a loss that was multiplied by {@code 1 / inverseScale}: norms are those of the
     * gradients times {@code inverseScale}, and one multiplication both unscales and clips. Gradients that a clip
     * {@linkplain NonFinitePolicy#SKIP skips} stay scaled.
     *
     * <pre>{@code
     * ClipResult result = clipper.clip(ClipRule.globalNorm(1.0).withInverseScale(1 / 65536.0));
     * }</pre>
     *
     * @throws IllegalArgumentException if inverseScale is not above 0 and finite
     */
    ClipRule withInverseScale(double inverseScale);

    /** Returns this rule with its thresholds multiplied by {@code factor}. */
    ClipRule times(double factor);

    // ---- one norm over all ------------------------------------------------------------------------------------------

    /**
     * Scales all gradients by {@code min(1, maxNorm / (norm + 1e-6))}, with the norm over all of them (Pascanu et al.
     * 2013; PyTorch {@code clip_grad_norm_}).
     *
     * @param maxNorm the threshold; 0 zeroes gradients, infinity only measures
     * @throws IllegalArgumentException if maxNorm is negative or NaN
     */
    static NormRule globalNorm(double maxNorm) {
        return NormRule.of(NormRule.Form.CLIP, Scope.ALL, maxNorm, DEFAULT_EPSILON);
    }

    /**
     * Scales all gradients to a norm of {@code targetNorm}, up or down; a norm of 0 stays 0 (normalized gradient
     * descent). With {@link Scope#TENSOR} or {@link Scope#GROUP} and a target norm of 1 this is DL4J's
     * {@code RenormalizeL2PerParamType} or {@code RenormalizeL2PerLayer}. Unscaled norms below {@code targetNorm ·
     * 2^-127} are scaled by 2^127.
     *
     * @throws IllegalArgumentException if targetNorm is negative, infinite or NaN
     */
    static NormRule normalize(double targetNorm) {
        return normalizeAbove(0, targetNorm);
    }

    /**
     * Scales all gradients to a norm of {@code targetNorm} where their norm is above {@code maxNorm}. With the same
     * number for both this is {@link #globalNorm} with an epsilon of 0; with a target norm of 1 it is the form in which
     * introductions give clipping, {@code g / norm}.
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
     * Scales each tensor by {@code min(1, maxNorm / (its norm + 1e-6))} (Keras {@code clipnorm}, TensorFlow
     * {@code clip_by_norm}).
     *
     * @param maxNorm the threshold; 0 zeroes gradients, infinity only measures
     * @throws IllegalArgumentException if maxNorm is negative or NaN
     */
    static NormRule perTensorNorm(double maxNorm) {
        return NormRule.of(NormRule.Form.CLIP, Scope.TENSOR, maxNorm, DEFAULT_EPSILON);
    }

    /**
     * Scales each row by {@code min(1, maxNorm / (its norm + 1e-6))}. A row is the gradient of a sample (Opacus,
     * Optax's per-example clipping) or of a unit; rows are bound by {@link GradientClipperBuilder#rows}.
     *
     * @param maxNorm the threshold; 0 zeroes gradients, infinity only measures
     * @throws IllegalArgumentException if maxNorm is negative or NaN
     */
    static NormRule perRowNorm(double maxNorm) {
        return NormRule.of(NormRule.Form.CLIP, Scope.ROW, maxNorm, DEFAULT_EPSILON);
    }

    /**
     * Scales each tensor by {@code min(1, maxNorm / (its norm / its elements))} (TensorFlow
     * {@code clip_by_average_norm}).
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
     * Clips adaptively: scales each row, or unit, whose norm is not below {@code m = lambda · max(norm of its weights,
     * 1e-3)} by {@code m / max(its norm, 1e-6)} (Brock et al. 2021, "High-Performance Large-Scale Image Recognition
     * Without Normalization", algorithm 2; Optax {@code adaptive_grad_clip} and timm have the same comparison and
     * 1e-6). Weights are bound by {@link GradientClipperBuilder#weights(GradientBuffer)}; a tensor without weights is
     * left as it is, as the paper advises for the last layer.
     *
     * @param lambda the paper's λ: 0.01 for batches of 4096, more for smaller ones
     * @throws IllegalArgumentException if lambda is negative or NaN
     */
    static NormRule adaptive(double lambda) {
        return adaptive(lambda, 1e-3);
    }

    /**
     * Clips as {@link #adaptive(double)} does, with {@code epsilon} instead of 1e-3 as the least norm that weights
     * count with, so that weights of 0 can move.
     *
     * @throws IllegalArgumentException if lambda is negative or NaN, or epsilon is negative, infinite or NaN
     */
    static NormRule adaptive(double lambda, double epsilon) {
        return NormRule.of(NormRule.Form.ADAPTIVE, Scope.ROW, lambda, epsilon);
    }

    /**
     * Clips each named group by a rule of its own; tensors in other groups or in none are left as they are. An output
     * layer may have a wider range than hidden ones (Graves 2013 clamped an LSTM's derivatives to ±10 and its output's
     * to ±100).
     *
     * <pre>{@code
     * ClipRule.perGroup(Map.of("hidden", ClipRule.value(10), "output", ClipRule.value(100)))
     * }</pre>
     *
     * @throws IllegalArgumentException if there is no rule, or the rules differ in more than form, scope and numbers:
     *     value rules beside norm rules, or different norm types, policies or inverse scales
     */
    static GroupRule perGroup(Map<String, ? extends ClipRule> rules) {
        return new GroupRule(new LinkedHashMap<>(rules));
    }

    // ---- values -----------------------------------------------------------------------------------------------------

    /**
     * Clamps every element to {@code [-limit, limit]} (PyTorch {@code clip_grad_value_}, Keras {@code clipvalue}).
     * Where the limit is beyond an element type's largest number, such as 70000 for FLOAT16, that number is the limit.
     *
     * @param limit the limit; infinity for none
     * @throws IllegalArgumentException if limit is negative or NaN
     */
    static ValueRule value(double limit) {
        if (!(limit >= 0)) {
            throw new IllegalArgumentException("limit must be 0 or more, but is " + limit);
        }
        return value(-limit, limit + 0.0);
    }

    /**
     * Clamps every element to {@code [min, max]}. Where a limit is beyond an element type's largest number, that number
     * is the limit.
     *
     * @throws IllegalArgumentException if either is NaN or min is above max
     */
    static ValueRule value(double min, double max) {
        return new ValueRule(min, max, 1, NonFinitePolicy.PROPAGATE);
    }
}
