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
    /** A loss is scaled, and gradients unscaled, in FLOAT32: from here on both the scale and its inverse are normal floats. */
    private static final double LEAST = Float.MIN_NORMAL;

    private static final String RANGE = "must be from 2^-126 to the largest float";

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
     * @param initialScale from 2^-126 to the largest float, as every later scale
     * @param growthFactor above 1
     * @param backoffFactor between 0 and 1
     * @param growthInterval finite steps in a row before the scale grows
     * @throws IllegalArgumentException if a number is out of its range
     */
    public DynamicLossScaler(double initialScale, double growthFactor, double backoffFactor, int growthInterval) {
        require(isScale(initialScale), "initialScale " + RANGE, initialScale);
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

    private static boolean isScale(double number) {
        return number >= LEAST && number <= Float.MAX_VALUE;
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
     * @throws IllegalArgumentException if the scale is not from 2^-126 to the largest float, or finiteSteps is negative
     */
    public void restore(double savedScale, int savedFiniteSteps) {
        require(isScale(savedScale), "scale " + RANGE, savedScale);
        require(savedFiniteSteps >= 0, "finiteSteps must be 0 or more", savedFiniteSteps);
        scale = savedScale;
        finiteSteps = savedFiniteSteps;
    }

    /**
     * A rule for gradients of a loss times {@link #scale}: unscales them, or leaves all as they are where one is not finite. What the
     * rule {@linkplain ClipRule#withInverseScale unscales} itself, as gradients added up over micro-batches, it does too.
     *
     * @throws IllegalArgumentException if both unscalings together are not above 0 and finite
     */
    public ClipRule unscaling(ClipRule rule) {
        return rule.withInverseScale(rule.inverseScale() / scale).withNonFinitePolicy(NonFinitePolicy.SKIP);
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
            scale = Math.max(scale * backoffFactor, LEAST);
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
