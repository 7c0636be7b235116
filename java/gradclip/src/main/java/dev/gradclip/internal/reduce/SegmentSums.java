// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.reduce;

import dev.gradclip.NormType;
import java.util.Arrays;

/**
 * The sum of squares, of absolute values or of powers, or the maximum, of each segment, and the norms computed from
 * them. Sums of FLOAT64 tiles outside [2^-900, 2^900] are in {@code low} or {@code high}, scaled.
 */
public final class SegmentSums {
    public final double[] low;
    public final double[] middle;
    public final double[] high;
    public final double[] maximum;
    private final Fold fold = new Fold();

    public SegmentSums(int segments) {
        this(new double[segments], new double[segments], new double[segments], new double[segments]);
    }

    private SegmentSums(double[] low, double[] middle, double[] high, double[] maximum) {
        this.low = low;
        this.middle = middle;
        this.high = high;
        this.maximum = maximum;
    }

    /** Returns a copy with room for {@code segments} segments. */
    public SegmentSums grown(int segments) {
        return new SegmentSums(
                Arrays.copyOf(low, segments),
                Arrays.copyOf(middle, segments),
                Arrays.copyOf(high, segments),
                Arrays.copyOf(maximum, segments));
    }

    /** Writes the norm over the segments {@code [from, to)} to {@code norm}. */
    public void total(NormType type, int from, int to, ScaledNorm norm) {
        switch (NormKind.of(type)) {
            case INF -> {
                double largest = 0;
                for (int i = from; i < to; i++) largest = Math.max(largest, middle[i]);
                norm.set(largest, 0);
            }
            case L1 -> norm.setL1(sum(middle, from, to), rareSum(high, from, to));
            case L2 -> norm.setL2(rareSum(low, from, to), sum(middle, from, to), rareSum(high, from, to));
            case POWER -> PowerNorm.total(type.p(), maximum, middle, from, to, norm);
        }
    }

    private double sum(double[] entries, int from, int to) {
        if (to - from == 1) return entries[from];
        return fold.sum(entries, from, to);
    }

    /** Sums entries that are usually all 0. */
    private double rareSum(double[] entries, int from, int to) {
        for (int i = from; i < to; i++) if (entries[i] != 0) return sum(entries, from, to);
        return 0;
    }
}
