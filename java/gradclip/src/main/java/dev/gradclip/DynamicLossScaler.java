// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

/**
 * The factor that a loss is multiplied by so that small gradients survive FLOAT16, found as training goes: halved when a gradient
 * overflows, and that step skipped; doubled after 2000 steps without (Micikevicius et al. 2018, "Mixed Precision Training";
 * defaults and arithmetic as PyTorch's {@code GradScaler}). Clipping unscales: no pass of its own.
 *
 * <pre>{@code
 * DynamicLossScaler scaler = new DynamicLossScaler();
 * for (…) {
 *     backward(loss * scaler.scale());
 *     ClipResult result = clipper.clip(scaler.unscaling(ClipRule.globalNorm(1.0)));
 *     if (scaler.update(result)) optimizer.step();
 * }
 * }</pre>
 *
 * <p>One thread at a time.
 */
public final class DynamicLossScaler {
    private final double growthFactor;
    private final double backoffFactor;
    private final int growthInterval;
    private double scale;
    private int finiteSteps;

    /** Starts at 65536; doubles after 2000 finite steps, halves after one that is not. */
    public DynamicLossScaler() {
        this(65536, 2, 0.5, 2000);
    }

    /**
     * Starts at a scale.
     *
     * @param growthFactor above 1
     * @param backoffFactor between 0 and 1
     * @param growthInterval finite steps in a row before the scale grows
     * @throws IllegalArgumentException if a number is out of its range
     */
    public DynamicLossScaler(double initialScale, double growthFactor, double backoffFactor, int growthInterval) {
        require(
                initialScale > 0 && Double.isFinite(initialScale),
                "initialScale must be above 0 and finite",
                initialScale);
        require(
                growthFactor > 1 && Double.isFinite(growthFactor),
                "growthFactor must be above 1 and finite",
                growthFactor);
        require(backoffFactor > 0 && backoffFactor < 1, "backoffFactor must be between 0 and 1", backoffFactor);
        require(growthInterval > 0, "growthInterval must be above 0", growthInterval);
        scale = initialScale;
        this.growthFactor = growthFactor;
        this.backoffFactor = backoffFactor;
        this.growthInterval = growthInterval;
    }

    private static void require(boolean holds, String rule, double number) {
        if (!holds) throw new IllegalArgumentException(rule + ", but is " + number);
    }

    /** What the next loss is multiplied by. */
    public double scale() {
        return scale;
    }

    /** Finite steps since the scale last changed: with {@link #scale} what a checkpoint keeps. */
    public int finiteSteps() {
        return finiteSteps;
    }

    /**
     * Goes on from a checkpoint.
     *
     * @throws IllegalArgumentException if the scale is not above 0 and finite, or finiteSteps is negative
     */
    public void restore(double savedScale, int savedFiniteSteps) {
        require(savedScale > 0 && Double.isFinite(savedScale), "scale must be above 0 and finite", savedScale);
        require(savedFiniteSteps >= 0, "finiteSteps must be 0 or more", savedFiniteSteps);
        scale = savedScale;
        finiteSteps = savedFiniteSteps;
    }

    /** A rule for gradients of a loss times {@link #scale}: unscales them, or leaves all as they are where one is not finite. */
    public ClipRule unscaling(ClipRule rule) {
        return rule.unscale(1 / scale).withNonFinitePolicy(NonFinitePolicy.SKIP);
    }

    /**
     * Takes a step's result into account; returns whether the optimizer is to take the step. Waits for an {@code …Async} result: one
     * that is read some steps later still counts, once for each step.
     */
    public boolean update(ClipResult result) {
        return update(result.nonFinite());
    }

    /** As {@link #update(ClipResult)}, where it is known in another way whether a gradient was not finite. */
    public boolean update(boolean foundNonFinite) {
        if (foundNonFinite) {
            // Never 0: its inverse would unscale nothing.
            scale = Math.max(scale * backoffFactor, Double.MIN_NORMAL);
            finiteSteps = 0;
            return false;
        }
        finiteSteps++;
        if (finiteSteps >= growthInterval) {
            double grown = scale * growthFactor;
            // As PyTorch: never beyond what a float holds.
            if (grown <= Float.MAX_VALUE) scale = grown;
            finiteSteps = 0;
        }
        return true;
    }
}
