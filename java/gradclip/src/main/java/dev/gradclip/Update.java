// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

/**
 * An optimizer's step, as a value: what {@link GradientClipper#step} does with the clipped gradients. The formulas and
 * defaults are PyTorch's; {@code g} is the gradient after clipping, {@code p} the weight, and {@code lr} may be another
 * at each step.
 *
 * <pre>{@code
 * Update update = Update.adamW(1e-3);
 * for (int step = 0; step < steps; step++) {
 *     backward();
 *     clipper.step(update.withLearningRate(schedule(step)), ClipRule.globalNorm(1.0));
 * }
 * }</pre>
 */
public sealed interface Update permits SgdUpdate, AdamUpdate {
    /**
     * Plain stochastic gradient descent, {@code p -= lr · g}: PyTorch's {@code SGD}. {@link SgdUpdate#withMomentum}
     * adds momentum.
     *
     * @throws IllegalArgumentException if the rate is negative, infinite or NaN
     */
    static SgdUpdate sgd(double learningRate) {
        return new SgdUpdate(learningRate, 0, 0, false, 0, false, false);
    }

    /**
     * Adam (Kingma and Ba 2015) with PyTorch's defaults, betas 0.9 and 0.999, epsilon 1e-8, no weight decay: PyTorch's
     * {@code Adam}.
     *
     * @throws IllegalArgumentException if the rate is negative, infinite or NaN
     */
    static AdamUpdate adam(double learningRate) {
        return new AdamUpdate(learningRate, 0.9, 0.999, 1e-8, 0, false, false, false);
    }

    /**
     * Adam with decoupled weight decay (Loshchilov and Hutter 2019) of 0.01: PyTorch's {@code AdamW} with its defaults.
     *
     * @throws IllegalArgumentException if the rate is negative, infinite or NaN
     */
    static AdamUpdate adamW(double learningRate) {
        return new AdamUpdate(learningRate, 0.9, 0.999, 1e-8, 0.01, true, false, false);
    }

    /** The learning rate. */
    double learningRate();

    /** The weight decay. */
    double weightDecay();

    /** True if the step sets gradients to 0 in the same pass. */
    boolean zeroesGradients();

    /**
     * True if 16-bit weights have master weights: a copy in FLOAT32, a part of the clipper's state, that is updated in
     * their place, and from which they are rounded. Without it, a step that is smaller than a half of a weight's last
     * place is lost. Weights of FLOAT32 and FLOAT64 are their own masters.
     */
    boolean masterWeights();

    /** This update with another learning rate. */
    Update withLearningRate(double rate);

    /** This update, which also sets each gradient that it has used to 0, in the same pass. */
    Update zeroingGradients();

    /**
     * This update with {@link #masterWeights}. They are taken from the weights at a tensor's first step; from then on
     * each step overwrites what others write into the weights.
     */
    Update withMasterWeights();

    /** Throws where a number is not finite and 0 or more. */
    static void requireNotNegative(String what, double value) {
        if (!(value >= 0) || Double.isInfinite(value)) {
            throw new IllegalArgumentException(what + " must be finite and 0 or more, but is " + value);
        }
    }
}
