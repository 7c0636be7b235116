// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

/**
 * Finds the factor that a loss is multiplied by so that small gradients survive FLOAT16. The factor is halved when a
 * gradient overflows, and that step is skipped; it is doubled after 2000 steps without an overflow (Micikevicius et al.
 * 2018, "Mixed Precision Training"; defaults and arithmetic are those of PyTorch's {@code GradScaler}). The clip
 * unscales the gradients, so that unscaling takes no pass of its own.
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
 * <p>{@link GradientClipper#step} takes the rule as well, and moves nothing where a gradient overflows; its result goes
 * to {@link #update(ClipResult)} in the same way.
 *
 * <p>One thread at a time uses a scaler.
 */
public final class DynamicLossScaler {
    /**
     * The least scale: from here on scale and inverse are normal floats, for losses and gradients scaled in FLOAT32.
     */
    private static final double LEAST = Float.MIN_NORMAL;

    private static final String RANGE = "must be from 2^-126 to the largest float";

    private final double growthFactor;
    private final double backoffFactor;
    private final int growthInterval;
    private double scale;
    private int finiteSteps;

    /** Starts at 65536; the scale doubles after 2000 finite steps, and halves after a step that is not finite. */
    public DynamicLossScaler() {
        this(65536, 2, 0.5, 2000);
    }

    /**
     * Starts at {@code initialScale}.
     *
     * @param initialScale from 2^-126 to the largest float, like every later scale
     * @param growthFactor above 1
     * @param backoffFactor between 0 and 1
     * @param growthInterval the number of finite steps in a row before the scale grows
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

    /** The factor that the next loss is multiplied by. */
    public double scale() {
        return scale;
    }

    /** The number of finite steps since the scale last changed; a checkpoint keeps it and {@link #scale}. */
    public int finiteSteps() {
        return finiteSteps;
    }

    /**
     * Continues from a checkpoint.
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
     * Returns a rule for gradients of a loss times {@link #scale}: it unscales them, or leaves all as they are where
     * one is not finite. The rule's own {@linkplain ClipRule#withInverseScale inverse scale}, such as one for gradients
     * added up over micro-batches, is applied too.
     *
     * @throws IllegalArgumentException if the product of both inverse scales is not above 0 and finite
     */
    public ClipRule unscaling(ClipRule rule) {
        return rule.withInverseScale(rule.inverseScale() / scale).withNonFinitePolicy(NonFinitePolicy.SKIP);
    }

    /**
     * Takes a step's result into account, and returns true if the optimizer is to take the step. This waits for an
     * {@code …Async} result; a result that is read some steps later still counts, once for each step.
     */
    public boolean update(ClipResult result) {
        return update(result.nonFinite());
    }

    /** Counts a step as {@link #update(ClipResult)} does; the caller knows otherwise if a gradient was not finite. */
    public boolean update(boolean foundNonFinite) {
        if (foundNonFinite) {
            scale = Math.max(scale * backoffFactor, LEAST);
            finiteSteps = 0;
            return false;
        }
        finiteSteps++;
        if (finiteSteps >= growthInterval) {
            double grown = scale * growthFactor;
            // Like PyTorch's, the scale never grows beyond what a float holds.
            if (grown <= Float.MAX_VALUE) scale = grown;
            finiteSteps = 0;
        }
        return true;
    }
}
