// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import java.math.BigDecimal;
import java.math.MathContext;

/** Norms of doubles in exact arithmetic, rounded once at the end. */
final class ExactNorm {
    private ExactNorm() {}

    static double l2(double... values) {
        BigDecimal sum = BigDecimal.ZERO;
        for (double v : values) {
            BigDecimal x = new BigDecimal(v);
            sum = sum.add(x.multiply(x));
        }
        return sum.sqrt(MathContext.DECIMAL128).doubleValue();
    }

    static double l1(double... values) {
        BigDecimal sum = BigDecimal.ZERO;
        for (double v : values) sum = sum.add(new BigDecimal(Math.abs(v)));
        return sum.doubleValue();
    }

    static double max(double... values) {
        double max = 0;
        for (double v : values) max = Math.max(max, Math.abs(v));
        return max;
    }

    /** The L2 norm of millions of elements: squares as exact pairs, added up with what each addition lost. */
    static double compensatedL2(double... values) {
        double sum = 0;
        double lost = 0;
        for (double v : values) {
            double square = v * v;
            double next = sum + square;
            lost += Math.fma(v, v, -square) + (sum >= square ? sum - next + square : square - next + sum);
            sum = next;
        }
        return Math.sqrt(sum + lost);
    }

    static double of(NormType type, double... values) {
        if (type.equals(NormType.L2)) return l2(values);
        if (type.equals(NormType.L1)) return l1(values);
        return max(values);
    }
}
