// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.inspect;

import java.util.function.DoubleUnaryOperator;

/** Counts elements by magnitude, in bins 3 to 6 % wide: a double's exponent and the first four bits behind it. */
final class Magnitudes {
    private static final int SHIFT = 48;

    /** The bin of infinity, where those of numbers end. */
    private static final int END = (int) (Double.doubleToRawLongBits(Double.POSITIVE_INFINITY) >>> SHIFT);

    private final long[] counts = new long[END];
    private long elements;
    private long zeros;

    void add(double[] block, int count) {
        elements += count;
        for (int i = 0; i < count; i++) {
            double size = Math.abs(block[i]);
            int bin = (int) (Double.doubleToRawLongBits(size) >>> SHIFT);
            if (size == 0) zeros++;
            else if (bin < END) counts[bin]++;
        }
    }

    /** Returns the share of elements that are 0 or -0, 0 to 1. */
    double zeroShare() {
        return elements == 0 ? 0 : (double) zeros / elements;
    }

    /** Takes a bin's middle magnitude, and the share of all elements that is in it. */
    interface Bin {
        void take(double size, double share);
    }

    /** Goes through the bins that are not empty, in ascending order, with their magnitudes changed by a rule. */
    void forEach(DoubleUnaryOperator rule, Bin bin) {
        for (int i = 0; i < END; i++) {
            if (counts[i] == 0) continue;
            double low = Double.longBitsToDouble((long) i << SHIFT);
            double high = Double.longBitsToDouble((long) (i + 1) << SHIFT);
            double middle = Double.isInfinite(high) ? low : low + (high - low) / 2;
            bin.take(rule.applyAsDouble(middle), (double) counts[i] / elements);
        }
    }
}
