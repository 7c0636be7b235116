// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.reduce;

import dev.gradclip.NormType;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

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

    /** Segments that do not follow each other, side by side; null before they are first needed. */
    private @Nullable SegmentSums gathered;

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

    /** Copies the sums of {@code count} segments, from {@code at} on, to {@code to} from {@code toAt} on. */
    public void copyTo(int at, int count, SegmentSums to, int toAt) {
        System.arraycopy(low, at, to.low, toAt, count);
        System.arraycopy(middle, at, to.middle, toAt, count);
        System.arraycopy(high, at, to.high, toAt, count);
        System.arraycopy(maximum, at, to.maximum, toAt, count);
    }

    /** Returns true if {@code count} segments from {@code at} on have the bits of others from {@code otherAt} on. */
    public boolean equal(int at, SegmentSums other, int otherAt, int count) {
        return equal(low, at, other.low, otherAt, count)
                && equal(middle, at, other.middle, otherAt, count)
                && equal(high, at, other.high, otherAt, count)
                && equal(maximum, at, other.maximum, otherAt, count);
    }

    private static boolean equal(double[] own, int at, double[] other, int otherAt, int count) {
        return Arrays.equals(own, at, at + count, other, otherAt, otherAt + count);
    }

    /** Returns 0 if all elements of the segments {@code [from, to)} are finite; otherwise infinity or NaN. */
    public double nonFinite(int from, int to) {
        double found = 0;
        boolean isFinite = true;
        for (int i = from; i < to; i++) {
            isFinite &= Double.isFinite(low[i]) && Double.isFinite(middle[i]) && Double.isFinite(high[i]);
            found += low[i] + middle[i] + high[i];
        }
        if (isFinite) return 0;
        return found;
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

    /** Writes the norm over every {@code step}-th of the segments {@code [from, to)} to {@code norm}. */
    public void total(NormType type, int from, int to, int step, ScaledNorm norm) {
        int count = 0;
        SegmentSums every = gathered;
        if (every == null || every.middle.length * (long) step < to - from) {
            every = new SegmentSums((to - from) / step + 1);
            gathered = every;
        }
        for (int i = from; i < to; i += step) copyTo(i, 1, every, count++);
        every.total(type, 0, count, norm);
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
