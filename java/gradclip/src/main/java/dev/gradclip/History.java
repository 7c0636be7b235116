// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import java.util.Locale;

/**
 * What a {@link NormRule} remembers of earlier norms, and the threshold that follows. {@link ClipRule} has a method for
 * each, with the defaults of its source.
 *
 * <p>In the formulas n is the norm of this step, after unscaling, c the threshold that the gradients are scaled to. The
 * rule's own {@link NormRule#max} is a fixed limit besides: the smaller one counts. A step whose gradients hold a NaN or
 * an infinity moves nothing here, whatever its policy, and has the threshold of the step before.
 *
 * <p>One history belongs to each set of elements that has a norm: all tensors, a group, a tensor, by the rule's
 * {@link Scope}. Rows have none. A clipper keeps it for each rule it is given, {@link GradientClipper#prepare} makes one
 * of its own, and {@link RuleHistory} saves and loads it.
 *
 * <pre>{@code
 * ClipRule rule = ClipRule.autoClip().withScope(Scope.TENSOR);
 * }</pre>
 */
public sealed interface History {
    /** The longest window, period or warm-up. */
    int LONGEST = 1 << 20;

    /**
     * n is appended, then c is a percentile of the last norms, between two of them by a straight line (Seetharaman et
     * al. 2020, "AutoClip"; the authors keep all norms, here the last {@code window}).
     *
     * @param percentile 0 to 100
     * @param window the number of norms that are kept
     */
    record AutoClip(double percentile, int window) implements History {
        /** Checks each number. */
        public AutoClip {
            requireBetween("percentile", percentile, 0, 100);
            requireLength("window", window, 1);
        }
    }

    /**
     * c is a quantile of the last norms, between two of them by a straight line; then n is appended. The first step is
     * not clipped (the package autoclip for PyTorch).
     *
     * @param fraction 0 to 1
     * @param window the number of norms that are kept
     */
    record Quantile(double fraction, int window) implements History {
        /** Checks each number. */
        public Quantile {
            requireBetween("fraction", fraction, 0, 1);
            requireLength("window", window, 1);
        }
    }

    /**
     * n is appended, then c is the norm in place {@code rank} of the last ones in ascending order, from 0. The first
     * norm fills the whole window (bitsandbytes' {@code percentile_clipping}).
     *
     * @param rank 0 to {@code window - 1}
     * @param window the number of norms that are kept
     */
    record Percentile(int rank, int window) implements History {
        /** Checks each number. */
        public Percentile {
            requireLength("window", window, 1);
            requireBetween("rank", rank, 0, window - 1.0);
        }
    }

    /**
     * Every {@code period} steps c becomes {@code factor} times the median of the period's norms, the step's own
     * included; after 10, 20 and 40 norms, where a period is longer, it becomes twice as much. Until then nothing is
     * clipped. The norm of the first step does not count (icefall's ScaledAdam).
     *
     * @param factor above 0
     * @param period the number of norms of a median
     */
    record Median(double factor, int period) implements History {
        /** Checks each number. */
        public Median {
            requireAbove("factor", factor, 0);
            requireLength("period", period, 1);
        }
    }

    /**
     * With z = (n - μ) / (σ + 1e-6): where z is above {@code zMax}, c = μ + zMax · σ / (z / zMax). μ and the variance σ²
     * are averages that forget, fed with the norm after the clip (Kumar et al. 2025, "ZClip").
     *
     * @param alpha what the averages keep of themselves, 0 to 1
     * @param zMax above 0
     * @param warmUp the number of steps whose mean and variance the averages begin with, and which only the fixed limit
     *     clips
     */
    record ZClip(double alpha, double zMax, int warmUp) implements History {
        /** Checks each number. */
        public ZClip {
            requireBetween("alpha", alpha, 0, 1);
            requireAbove("zMax", zMax, 0);
            requireLength("warmUp", warmUp, 1);
        }
    }

    /**
     * c = λγ, γ being an average of the norms after the clip, γ ← βγ + (1 - β) · min(n, c). In the first {@code warmUp}
     * steps the fixed limit clips all tensors by their norm together, and γ is the least norm so far (Wang et al. 2025,
     * "AdaGC"). A γ of 0, which would zero its gradients for good, limits nothing and takes the next norm.
     *
     * @param lambda above 0
     * @param beta 0 to 1
     * @param warmUp the number of steps before γ limits
     */
    record AdaGc(double lambda, double beta, int warmUp) implements History {
        /** Checks each number. */
        public AdaGc {
            requireAbove("lambda", lambda, 0);
            requireBetween("beta", beta, 0, 1);
            requireLength("warmUp", warmUp, 0);
        }
    }

    /**
     * Lets a norm grow by the factor τ a step: where n / (p + ε) is above τ, p being the norm after the clip before, c =
     * τp (NormGrowthCap of CannotWaitForTheseOptimisers.jl, after Chen et al. 2024, "Fira"). The first norm, one after a
     * norm of 0 and one below {@code floor · √elements} pass.
     *
     * @param tau above 0
     * @param floor 0 or more
     */
    record GrowthCap(double tau, double floor) implements History {
        /** Checks each number. */
        public GrowthCap {
            requireAbove("tau", tau, 0);
            requireAbove("floor", floor, -1);
            if (floor < 0) throw new IllegalArgumentException("floor must be 0 or more, but is " + floor);
        }
    }

    /**
     * Scales to a norm of μ / (√ν + ε), μ and ν being averages of n and n², corrected for their beginning at 0 as Adam's
     * are, and ε the rule's. A norm of 0 moves neither ("GradientStabilizer", arXiv 2502.17055).
     *
     * @param beta1 of μ, 0 to below 1
     * @param beta2 of ν, 0 to below 1
     */
    record Stabilizer(double beta1, double beta2) implements History {
        /** Checks each number. */
        public Stabilizer {
            requireBetween("beta1", beta1, 0, Math.nextDown(1.0));
            requireBetween("beta2", beta2, 0, Math.nextDown(1.0));
        }
    }

    /**
     * Skips a step whose n is above a limit: no gradient, weight or state moves.
     *
     * @param norm 0 or more
     */
    record SkipAbove(double norm) implements History {
        /** Checks the number. */
        public SkipAbove {
            if (!(norm >= 0)) throw new IllegalArgumentException("norm must be 0 or more, but is " + norm);
        }
    }

    /**
     * Skips a step whose n is more than {@code sigmas} standard deviations above the mean of the norms before it, the
     * skipped ones among them (OLMo-core's SkipStepOptimizer).
     *
     * @param sigmas above 0
     * @param window the number of earlier norms that are kept
     * @param least the number of norms, n included, from which on steps are skipped
     */
    record SkipSpikes(double sigmas, int window, int least) implements History {
        /** Checks each number. */
        public SkipSpikes {
            requireAbove("sigmas", sigmas, 0);
            requireLength("window", window, 2);
            requireLength("least", least, 3);
            if (least > window + 1) {
                throw new IllegalArgumentException(
                        "least must be " + (window + 1) + ", the window and n, or less, but is " + least);
            }
        }
    }

    /**
     * Scales by the average of the norms before this one instead of by n, so that the coefficient is known before the
     * gradients are read: one pass measures and scales them. The average is fed with n afterwards; the first
     * step is not clipped. A NaN or an infinity is found when the others have been scaled already, so that policies
     * other than PROPAGATE take two passes (gradclip's own; pytorch/torchtitan #990 asks for a clip that waits for no
     * norm).
     *
     * @param beta what the average keeps of itself, 0 to 1
     */
    record Lagged(double beta) implements History {
        /** Checks the number. */
        public Lagged {
            requireBetween("beta", beta, 0, 1);
        }
    }

    /** The name of the rule on the command line and in reports. */
    default String name() {
        return getClass().getSimpleName().replaceAll("(?<=.)(?=[A-Z])", "-").toLowerCase(Locale.ROOT);
    }

    /** Returns this history for norms that are multiplied by {@code factor}; a floor stays. */
    default History times(double factor) {
        return this instanceof SkipAbove above ? new SkipAbove(above.norm * factor) : this;
    }

    /** Returns true if the rule skips steps. */
    default boolean skips() {
        return this instanceof SkipAbove || this instanceof SkipSpikes;
    }

    private static void requireBetween(String what, double value, double least, double most) {
        if (value >= least && value <= most) return;
        throw new IllegalArgumentException(what + " must be from " + least + " to " + most + ", but is " + value);
    }

    private static void requireAbove(String what, double value, double limit) {
        if (value > limit && value != Double.POSITIVE_INFINITY) return;
        throw new IllegalArgumentException(what + " must be above " + limit + " and finite, but is " + value);
    }

    private static void requireLength(String what, int value, int least) {
        if (value >= least && value <= LONGEST) return;
        throw new IllegalArgumentException(what + " must be from " + least + " to " + LONGEST + ", but is " + value);
    }
}
