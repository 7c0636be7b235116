// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.reduce;

/**
 * A norm as {@code mantissa · 2^exponent}, so that a norm beyond the largest double still gives the right coefficient.
 * The exponent is 0 for all norms well within a double's range.
 */
public final class ScaledNorm {
    private static final double TWO_MINUS_600 = 0x1p-600;

    private double mantissa;
    private int exponent;
    private boolean given;

    /** Sets a norm that the caller gives instead of measuring it. */
    public void setGiven(double norm) {
        set(norm, 0);
        given = true;
    }

    void set(double newMantissa, int newExponent) {
        mantissa = newMantissa;
        exponent = newExponent;
        given = false;
    }

    /** Returns true if every element was found to be 0; a given norm of 0 does not count. */
    public boolean isOfZeros() {
        return mantissa == 0 && !given;
    }

    /** Sets the norm from sums of squares: {@code low} of x·2^600, {@code middle} of x, {@code high} of x·2^-600. */
    void setL2(double low, double middle, double high) {
        if (high != 0) {
            set(Math.sqrt(high + middle * TWO_MINUS_600 * TWO_MINUS_600), 600);
        } else if (low != 0 && middle == 0) {
            set(Math.sqrt(low), -600);
        } else {
            set(Math.sqrt(middle + low * TWO_MINUS_600 * TWO_MINUS_600), 0);
        }
    }

    /** Sets the norm from sums of absolute values: {@code middle} of x, {@code high} of x·2^-600. */
    void setL1(double middle, double high) {
        if (high != 0) {
            set(high + middle * TWO_MINUS_600, 600);
        } else {
            set(middle, 0);
        }
    }

    /** Returns true if every gradient was finite, even if the norm exceeds the largest double. */
    public boolean isFinite() {
        return Double.isFinite(mantissa);
    }

    /** The norm as a double; infinite if it exceeds the largest double, even if {@link #isFinite}. */
    public double value() {
        if (Double.isNaN(mantissa)) return Double.NaN;
        return exponent == 0 ? mantissa : Math.scalb(mantissa, exponent);
    }

    /** The norm times a coefficient, as a double: right where the norm alone exceeds the largest one. */
    public double valueTimes(double coefficient) {
        double product = mantissa * coefficient;
        if (Double.isNaN(product)) return Double.NaN;
        return exponent == 0 ? product : Math.scalb(product, exponent);
    }

    /** Multiplies the norm by a factor above 0. */
    public void multiply(double factor) {
        double product = mantissa * factor;
        if (factor == 1 || mantissa == 0 || !Double.isFinite(mantissa)) return;
        if (product >= Double.MIN_NORMAL && product <= Double.MAX_VALUE) {
            mantissa = product;
            return;
        }
        // The product is outside the range of normal doubles: multiply mantissas and add exponents.
        multiplyScaled(factor);
    }

    private void multiplyScaled(double factor) {
        double raised = mantissa < Double.MIN_NORMAL ? mantissa * 0x1p100 : mantissa;
        double raisedFactor = factor < Double.MIN_NORMAL ? factor * 0x1p100 : factor;
        int own = Math.getExponent(raised);
        int its = Math.getExponent(raisedFactor);
        exponent += own + its - (mantissa < Double.MIN_NORMAL ? 100 : 0) - (factor < Double.MIN_NORMAL ? 100 : 0);
        mantissa = Math.scalb(raised, -own) * Math.scalb(raisedFactor, -its);
    }

    /**
     * Returns {@code min(1, maxNorm / (norm / divisor + epsilon))}; 1 if maxNorm is infinite or the quotient would be
     * 0 / 0; NaN for a NaN norm.
     */
    public double coefficient(double maxNorm, double epsilon, double divisor) {
        if (maxNorm == Double.POSITIVE_INFINITY || (mantissa / divisor == 0 && epsilon == 0)) return 1;
        return Math.min(quotient(maxNorm, epsilon, divisor), 1);
    }

    /** Returns {@code maxNorm / (norm / divisor + epsilon)}. */
    public double quotient(double maxNorm, double epsilon, double divisor) {
        double m = mantissa / divisor;
        if (exponent > 0) return Math.scalb(maxNorm / (m + Math.scalb(epsilon, -exponent)), -exponent);
        double sum = (exponent == 0 ? m : Math.scalb(m, exponent)) + epsilon;
        if (exponent == 0 || sum >= Double.MIN_NORMAL) return maxNorm / sum;
        return Math.scalb(maxNorm, -exponent) / (m + Math.scalb(epsilon, -exponent));
    }
}
