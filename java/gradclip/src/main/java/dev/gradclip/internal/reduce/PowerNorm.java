// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.reduce;

/**
 * The p-norm of several segments from each one's maximum m and its sum s of (|x| / m)^p: {@code (Σ m^p · s)^(1/p)}. The
 * largest maximum is factored out first, so that no intermediate result overflows.
 */
final class PowerNorm {
    private PowerNorm() {}

    static void total(double p, double[] maxima, double[] sums, int from, int to, ScaledNorm norm) {
        double largest = 0;
        for (int i = from; i < to; i++) largest = Math.max(largest, maxima[i]);
        if (largest == 0 || !Double.isFinite(largest)) {
            norm.set(largest, 0);
            return;
        }
        int exponent = Math.getExponent(largest);
        double unit = Math.scalb(largest, -exponent);
        double sum = 0;
        for (int i = from; i < to; i++) {
            if (maxima[i] > 0) sum += Math.pow(Math.scalb(maxima[i], -exponent) / unit, p) * sums[i];
        }
        double root = Math.pow(sum, 1 / p);
        if (root < 0x1p1000) {
            double value = unit * root;
            // The norm stays scaled if it is outside a double's range.
            boolean fits = exponent + Math.getExponent(value) < 1023 && exponent > -1000;
            norm.set(fits ? Math.scalb(value, exponent) : value, fits ? 0 : exponent);
        } else {
            double log2 = Math.log(sum) / Math.log(2) / p;
            double whole = Math.floor(Math.min(log2, 1 << 30));
            norm.set(unit * Math.pow(2, log2 - whole), (int) whole + exponent);
        }
    }
}
