// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.reduce;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.math.BigDecimal;
import java.math.MathContext;
import org.junit.jupiter.api.Test;

/** Norms beyond a double's range, and the coefficient that follows from them. */
class ScaledNormTest {
    private static final double[] MAGNITUDES = {
        Double.MIN_VALUE, 1e-310, 1e-300, 1e-200, 1e-100, 1e-6, 1, 1e6, 1e100, 1e200, 1e300, Double.MAX_VALUE
    };

    private static BigDecimal scaled(double mantissa, int exponent) {
        BigDecimal power = BigDecimal.valueOf(2).pow(Math.abs(exponent));
        BigDecimal exact = new BigDecimal(mantissa);
        return exponent < 0 ? exact.divide(power) : exact.multiply(power);
    }

    private static void assertCoefficient(double mantissa, int exponent, double max, double epsilon) {
        ScaledNorm norm = new ScaledNorm();
        norm.set(mantissa, exponent);
        BigDecimal divisor = scaled(mantissa, exponent).add(new BigDecimal(epsilon));
        double expected =
                new BigDecimal(max).divide(divisor, MathContext.DECIMAL128).doubleValue();
        double got = norm.coefficient(max, epsilon, 1);
        double want = Math.min(1, expected);
        String what = mantissa + " 2^" + exponent + ", max " + max + ", epsilon " + epsilon;
        // A subnormal coefficient is rounded twice more than the exact one.
        assertEquals(want, got, 4e-16 * want + 2 * Double.MIN_VALUE, what);
    }

    @Test
    void coefficientsOfEveryMagnitude() {
        for (double max : MAGNITUDES) {
            for (double epsilon : new double[] {0, 1e-6, 1e-300, 1e-310, 1e200}) {
                for (double m : new double[] {0x1p-150, 0x1p-20, 1.7, 0x1.fp100, 0x1p420}) {
                    assertCoefficient(m, 600, max, epsilon);
                    assertCoefficient(m, 0, max, epsilon);
                }
                for (double m : new double[] {0x1p-474, 0x1p-430, 0x1p-100, 1.7, 0x1p140}) {
                    assertCoefficient(m, -600, max, epsilon);
                }
                assertCoefficient(1.3, -1030, max, epsilon);
                assertCoefficient(1.3, -1000, max, epsilon);
                assertCoefficient(1.3, 3000, max, epsilon);
            }
        }
    }

    @Test
    void infiniteButFinite() {
        ScaledNorm norm = new ScaledNorm();
        norm.set(0x1p430, 600);
        assertEquals(Double.POSITIVE_INFINITY, norm.value());
        assertTrue(norm.isFinite());
        norm.set(Double.POSITIVE_INFINITY, 0);
        assertFalse(norm.isFinite());
        assertEquals(0, norm.coefficient(1, 1e-6, 1));
        assertEquals(1, norm.coefficient(Double.POSITIVE_INFINITY, 1e-6, 1));
        norm.set(Double.NaN, 0);
        assertFalse(norm.isFinite());
        assertEquals(Double.NaN, norm.coefficient(1, 1e-6, 1));
    }

    @Test
    void classesCombine() {
        ScaledNorm norm = new ScaledNorm();
        norm.setL2(9, 0, 0);
        assertEquals(Math.scalb(3.0, -600), norm.value());
        norm.setL2(9, 16, 0);
        assertEquals(4, norm.value());
        norm.setL2(0, 0x1p900, Math.scalb(1.0, -300));
        assertEquals(Math.sqrt(2) * 0x1p450, norm.value(), 1e-14 * 0x1p450);
        norm.setL1(0x1p900, 0x1p300);
        assertEquals(0x1p901, norm.value());
        norm.setL2(0, 0, 0);
        assertEquals(0, norm.value());
        assertEquals(1, norm.coefficient(0, 0, 1), "nothing is to be scaled");
    }

    @Test
    void aGivenNormOfZeroSaysNothingOfTheElements() {
        ScaledNorm norm = new ScaledNorm();
        norm.setL2(0, 0, 0);
        assertTrue(norm.isOfZeros());
        norm.setGiven(0);
        assertFalse(norm.isOfZeros());
        norm.setL1(0, 0);
        assertTrue(norm.isOfZeros());
        norm.set(0x1p-500, -600);
        assertFalse(norm.isOfZeros(), "though its double is 0");
    }
}
