// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import java.util.Locale;

/**
 * The norm that is measured: L1 {@code Σ|x|}, L2 {@code √Σx²}, INF {@code max|x|}, or any other
 * {@code (Σ|x|^p)^(1/p)}.
 *
 * <p>L1, L2 and INF have the same bits on every backend; another p agrees to 1e-12 and is much slower, because it
 * raises every element to a power.
 *
 * <pre>{@code
 * ClipRule rule = ClipRule.globalNorm(1.0).withNormType(NormType.INF);
 * }</pre>
 */
public final class NormType {
    /** The sum of absolute values. */
    public static final NormType L1 = new NormType(1);

    /** The Euclidean norm: the default everywhere. */
    public static final NormType L2 = new NormType(2);

    /** The largest absolute value. */
    public static final NormType INF = new NormType(Double.POSITIVE_INFINITY);

    private final double p;

    private NormType(double p) {
        this.p = p;
    }

    /**
     * The p-norm; {@code p(1)}, {@code p(2)} and {@code p(infinity)} are the constants.
     *
     * @throws IllegalArgumentException if p is not above 0
     */
    public static NormType p(double p) {
        if (p == 1) return L1;
        if (p == 2) return L2;
        if (p == Double.POSITIVE_INFINITY) return INF;
        if (!(p > 0)) throw new IllegalArgumentException("norm type p must be above 0, or infinity, but is " + p);
        return new NormType(p);
    }

    /**
     * Parses what {@link #toString} writes: {@code 1}, {@code 2}, {@code inf} or another p.
     *
     * @throws IllegalArgumentException if the text is none of these
     */
    public static NormType parse(String text) {
        String t = text.strip().toLowerCase(Locale.ROOT);
        if (t.equals("inf") || t.equals("infinity")) return INF;
        try {
            return p(Double.parseDouble(t));
        } catch (NumberFormatException e) {
            throw new IllegalArgumentException(
                    "norm type must be 1, 2, inf or a number above 0, but is '" + text + "'", e);
        }
    }

    /** The exponent; infinite for {@link #INF}. */
    public double p() {
        return p;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof NormType that && p == that.p;
    }

    @Override
    public int hashCode() {
        return Double.hashCode(p);
    }

    @Override
    public String toString() {
        if (p == Double.POSITIVE_INFINITY) return "inf";
        return p == Math.rint(p) && p < 1e15 ? Long.toString((long) p) : Double.toString(p);
    }
}
