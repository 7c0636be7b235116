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
                NonFinitePolicy.PROPAGATE,
                null);
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
     * Scales each row by {@code min(1, maxNorm / (its norm + 1e-6))}. A row is the gradient of a sample in one layer
     * (Opacus' and Optax's clipping per layer) or of a unit; rows are bound by {@link GradientClipperBuilder#rows}.
     *
     * @param maxNorm the threshold; 0 zeroes gradients, infinity only measures
     * @throws IllegalArgumentException if maxNorm is negative or NaN
     */
    static NormRule perRowNorm(double maxNorm) {
        return NormRule.of(NormRule.Form.CLIP, Scope.ROW, maxNorm, DEFAULT_EPSILON);
    }

    /**
     * Scales each sample by {@code min(1, maxNorm / (its norm + 1e-6))}, with the norm over the sample's row of every
     * tensor: what differential privacy clips by (Abadi et al. 2016; Opacus' default). With {@code withEpsilon(0)} it
     * is Optax's {@code per_example_global_norm_clip}.
     *
     * <pre>{@code
     * // gradients of 32 samples: [32, 10, 784] and [32, 10]
     * GradientClipper clipper = GradientClipper.builder()
     *         .add("weight", weight).rows(32)
     *         .add("bias", bias).rows(32)
     *         .build();
     * clipper.clip(ClipRule.perSampleNorm(1.0));
     * }</pre>
     *
     * <p>A clip throws {@link IllegalArgumentException} if a tensor is bound with another number of rows.
     *
     * @param maxNorm the threshold; 0 zeroes gradients, infinity only measures
     * @throws IllegalArgumentException if maxNorm is negative or NaN
     */
    static NormRule perSampleNorm(double maxNorm) {
        return NormRule.of(NormRule.Form.CLIP, Scope.SAMPLE, maxNorm, DEFAULT_EPSILON);
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

    // ---- a threshold from earlier norms -----------------------------------------------------------------------------

    private static NormRule remembering(Scope scope, double max, double epsilon, History history) {
        return NormRule.of(NormRule.Form.CLIP, scope, max, epsilon).withHistory(history);
    }

    /** {@link #autoClip(double)} by the paper's percentile, 10. */
    static NormRule autoClip() {
        return autoClip(10);
    }

    /**
     * Scales all gradients by {@code min(1, c / (norm + 1e-6))}, c being a percentile of the norms so far, this one
     * included (Seetharaman et al. 2020, "AutoClip"). The last 4096 norms count: {@link History.AutoClip}.
     *
     * <pre>{@code
     * PreparedClip clip = clipper.prepare(ClipRule.autoClip());
     * clip.run(); // each step
     * }</pre>
     *
     * @param percentile 0 to 100; 0 clips every step to the least norm so far, 100 clips none
     * @throws IllegalArgumentException if percentile is not from 0 to 100
     */
    static NormRule autoClip(double percentile) {
        return remembering(
                Scope.ALL, Double.POSITIVE_INFINITY, DEFAULT_EPSILON, new History.AutoClip(percentile, 4096));
    }

    /**
     * Scales each tensor by {@code min(1, c / (its norm + 1e-6))}, c being the 0.9-quantile of its last 1000 norms before
     * this one (the package autoclip for PyTorch): {@link History.Quantile}.
     */
    static NormRule quantileClip() {
        return remembering(Scope.TENSOR, Double.POSITIVE_INFINITY, DEFAULT_EPSILON, new History.Quantile(0.9, 1000));
    }

    /**
     * Scales each tensor by {@code min(1, c / its norm)}, c being the sixth-smallest of its last 100 norms, this one
     * included (bitsandbytes' {@code percentile_clipping} of 5, which left with its release 0.50):
     * {@link History.Percentile}.
     */
    static NormRule percentileClip() {
        return remembering(Scope.TENSOR, Double.POSITIVE_INFINITY, 0, new History.Percentile(5, 100));
    }

    /**
     * Scales all gradients by {@code min(1, c / (norm + 1e-20))}, c being twice the median of 100 norms, renewed every
     * 100 steps (icefall's ScaledAdam, which measures gradients times their parameters' rms): {@link History.Median}.
     */
    static NormRule medianClip() {
        return remembering(Scope.ALL, Double.POSITIVE_INFINITY, 1e-20, new History.Median(2, 100));
    }

    /**
     * Scales all gradients whose norm is an outlier, more than 2.5 standard deviations above its running mean, and to 1
     * at most (Kumar et al. 2025, "ZClip", with the paper's numbers): {@link History.ZClip}. Another limit, or none, is
     * {@link NormRule#withMaxNorm}.
     */
    static NormRule zClip() {
        return remembering(Scope.ALL, 1, DEFAULT_EPSILON, new History.ZClip(0.97, 2.5, 25));
    }

    /**
     * Scales each tensor to at most 1.04 times the running mean of its norm, after 100 steps in which all tensors are
     * scaled to a norm of 1 at most (Wang et al. 2025, "AdaGC", with the paper's numbers): {@link History.AdaGc}.
     */
    static NormRule adaGc() {
        return remembering(Scope.TENSOR, 1, DEFAULT_EPSILON, new History.AdaGc(1.04, 0.99, 100));
    }

    /**
     * Scales each tensor so that its norm grows by a factor of 1.01 a step at most (NormGrowthCap of
     * CannotWaitForTheseOptimisers.jl; over all tensors, by {@link Scope#ALL}, as Apollo has it):
     * {@link History.GrowthCap}.
     */
    static NormRule growthCap() {
        return remembering(Scope.TENSOR, Double.POSITIVE_INFINITY, 1e-8, new History.GrowthCap(1.01, 1e-7));
    }

    /**
     * Scales each tensor to the ratio of the running mean of its norm to its running root mean square, which is about 1
     * ("GradientStabilizer", arXiv 2502.17055, with the numbers of its code): {@link History.Stabilizer}. It scales up,
     * too, so that it stands in for a clip and is none.
     */
    static NormRule stabilize() {
        return normalize(1).withScope(Scope.TENSOR).withEpsilon(1e-12).withHistory(new History.Stabilizer(0.6, 0.999));
    }

    /**
     * Scales all gradients by {@code min(1, maxNorm / (e + 1e-6))}, e being the running average of the norms before this
     * step, e ← 0.9 e + 0.1 norm: {@link History.Lagged}. It takes one pass over the gradients where {@link #globalNorm}
     * takes two; a spike is clipped a step too late.
     *
     * @throws IllegalArgumentException if maxNorm is negative or NaN
     */
    static NormRule laggedNorm(double maxNorm) {
        return remembering(Scope.ALL, maxNorm, DEFAULT_EPSILON, new History.Lagged(0.9));
    }

    /**
     * Skips a step whose norm is above {@code norm}, as Megatron-LM does: no gradient, weight or state moves, and
     * {@link GradientClipper#skipAddress} tells an optimizer on the device. Steps that are not skipped are not clipped,
     * but by {@link NormRule#withMaxNorm}.
     *
     * <pre>{@code
     * ClipRule rule = ClipRule.skipAbove(10).withMaxNorm(1.0);
     * }</pre>
     *
     * @throws IllegalArgumentException if norm is negative or NaN
     */
    static NormRule skipAbove(double norm) {
        return remembering(Scope.ALL, Double.POSITIVE_INFINITY, DEFAULT_EPSILON, new History.SkipAbove(norm));
    }

    /**
     * Skips a step whose norm is more than 6 standard deviations above the mean of the 128 norms before it, from the 64th
     * step on (OLMo-core's SkipStepOptimizer, which looks at the loss too): {@link History.SkipSpikes}. Steps that are
     * not skipped are not clipped, but by {@link NormRule#withMaxNorm}.
     */
    static NormRule skipSpikes() {
        return remembering(Scope.ALL, Double.POSITIVE_INFINITY, DEFAULT_EPSILON, new History.SkipSpikes(6, 128, 64));
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
