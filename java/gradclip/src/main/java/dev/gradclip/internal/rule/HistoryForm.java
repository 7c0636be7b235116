// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.rule;

import dev.gradclip.History;
import java.util.Arrays;

/**
 * Where the numbers of one history lie in its block of doubles: the head, then the norms it keeps. The same block is
 * read on the device: cuda/src/kernels/recall.cuh.
 */
public enum HistoryForm {
    AUTO_CLIP,
    QUANTILE,
    PERCENTILE,
    MEDIAN,
    Z_CLIP,
    ADA_GC,
    GROWTH_CAP,
    STABILIZER,
    SKIP_ABOVE,
    SKIP_SPIKES,
    LAGGED;

    /** The ordinal of the form. */
    static final int FORM = 0;

    /** The window, period or warm-up. */
    static final int WINDOW = 1;

    /** The rule's numbers, in the order of the record of {@link History}; percentiles as fractions. */
    static final int A = 2;

    static final int B = 3;

    /** The number of steps that moved the history. */
    public static final int STEPS = 4;

    /** The threshold of the latest step. */
    public static final int THRESHOLD = 5;

    /** What the form keeps beside norms. */
    static final int FIRST = 6;

    static final int SECOND = 7;
    static final int THIRD = 8;
    static final int FOURTH = 9;

    /** Where the norms begin. */
    static final int NORMS = 10;

    /** The form of a history. */
    public static HistoryForm of(History history) {
        if (history instanceof History.AutoClip) return AUTO_CLIP;
        if (history instanceof History.Quantile) return QUANTILE;
        if (history instanceof History.Percentile) return PERCENTILE;
        if (history instanceof History.Median) return MEDIAN;
        if (history instanceof History.ZClip) return Z_CLIP;
        if (history instanceof History.AdaGc) return ADA_GC;
        if (history instanceof History.GrowthCap) return GROWTH_CAP;
        if (history instanceof History.Stabilizer) return STABILIZER;
        if (history instanceof History.SkipAbove) return SKIP_ABOVE;
        return history instanceof History.SkipSpikes ? SKIP_SPIKES : LAGGED;
    }

    /** The doubles of a block. */
    public static int length(History history) {
        int window = window(history);
        return NORMS
                + switch (of(history)) {
                    // As they came, and in ascending order.
                    case AUTO_CLIP, QUANTILE, PERCENTILE -> 2 * window;
                    case MEDIAN, Z_CLIP, SKIP_SPIKES -> window;
                    case ADA_GC, GROWTH_CAP, STABILIZER, SKIP_ABOVE, LAGGED -> 0;
                };
    }

    /** Writes the block of a history that has seen no norm. */
    public static void begin(History history, double[] blocks, int at) {
        blocks[at + FORM] = of(history).ordinal();
        blocks[at + WINDOW] = window(history);
        blocks[at + THRESHOLD] = Double.POSITIVE_INFINITY;
        double a = 0;
        double b = 0;
        if (history instanceof History.AutoClip h) {
            a = h.percentile() / 100;
        } else if (history instanceof History.Quantile h) {
            a = h.fraction();
        } else if (history instanceof History.Percentile h) {
            a = h.rank();
        } else if (history instanceof History.Median h) {
            a = h.factor();
        } else if (history instanceof History.ZClip h) {
            a = h.alpha();
            b = h.zMax();
        } else if (history instanceof History.AdaGc h) {
            a = h.lambda();
            b = h.beta();
        } else if (history instanceof History.GrowthCap h) {
            a = h.tau();
            b = h.floor();
        } else if (history instanceof History.Stabilizer h) {
            a = h.beta1();
            b = h.beta2();
            // The products of the betas, and a target to begin with, for a first step that is not finite.
            blocks[at + THIRD] = 1;
            blocks[at + FOURTH] = 1;
            blocks[at + THRESHOLD] = 1;
        } else if (history instanceof History.SkipAbove h) {
            a = h.norm();
        } else if (history instanceof History.SkipSpikes h) {
            a = h.sigmas();
            b = h.least();
        } else if (history instanceof History.Lagged h) {
            a = h.beta();
        }
        blocks[at + A] = a;
        blocks[at + B] = b;
    }

    /**
     * Returns true if a step can go on with a block that came from outside: whole numbers where there are counts, norms
     * that are norms, and those in ascending order that are there in the order of time.
     */
    static boolean isSound(double[] block) {
        int window = (int) block[WINDOW];
        double steps = block[STEPS];
        if (!(steps >= 0 && steps <= 0x1p53 && steps == Math.rint(steps))) return false;
        for (int i = FIRST; i < block.length; i++) if (!(block[i] >= 0) || Double.isInfinite(block[i])) return false;
        int kept = (int) Math.min(steps, window);
        return switch (HistoryForm.values()[(int) block[FORM]]) {
            case PERCENTILE -> steps == 0 || isSorted(block, window, window);
            case AUTO_CLIP, QUANTILE -> isSorted(block, window, kept);
            case MEDIAN -> block[FIRST] < window && block[FIRST] == Math.rint(block[FIRST]);
            default -> true;
        };
    }

    private static boolean isSorted(double[] block, int window, int kept) {
        double[] ascending = Arrays.copyOfRange(block, NORMS, NORMS + kept);
        Arrays.sort(ascending);
        return Arrays.equals(ascending, Arrays.copyOfRange(block, NORMS + window, NORMS + window + kept));
    }

    private static int window(History history) {
        if (history instanceof History.AutoClip h) return h.window();
        if (history instanceof History.Quantile h) return h.window();
        if (history instanceof History.Percentile h) return h.window();
        if (history instanceof History.Median h) return h.period();
        if (history instanceof History.ZClip h) return h.warmUp();
        if (history instanceof History.AdaGc h) return h.warmUp();
        return history instanceof History.SkipSpikes h ? h.window() : 0;
    }
}
