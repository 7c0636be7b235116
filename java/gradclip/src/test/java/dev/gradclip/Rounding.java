// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

/** Rounds elements by the definitions: nearest-even by {@link Math#rint} on the type's unit at that magnitude. */
final class Rounding {
    private Rounding() {}

    /** Returns the nearest value of a type; infinity from half a unit beyond the largest on. */
    static double nearest(DType dtype, double value) {
        return switch (dtype) {
            case FLOAT64 -> value;
            case FLOAT32 -> (float) value;
            case FLOAT16 -> nearest(value, 10, -14, 65504);
            case BFLOAT16 -> nearest(value, 7, -126, 0x1.fep127);
        };
    }

    private static double nearest(double value, int mantissaBits, int leastExponent, double largest) {
        if (value == 0 || !Double.isFinite(value)) return value;
        int exponent = Math.max(Math.getExponent(value), leastExponent);
        double unit = Math.scalb(1.0, exponent - mantissaBits);
        double rounded = Math.rint(value / unit) * unit;
        return Math.abs(rounded) > largest ? Math.copySign(Double.POSITIVE_INFINITY, value) : rounded;
    }

    /** Returns {@code round_T(x * coefficient)}, with the product in the precision that the type is added up in. */
    static double scaled(DType dtype, double x, double coefficient) {
        if (dtype == DType.FLOAT64) return x * coefficient;
        if (coefficient < 0x1p-100 || Double.isInfinite((float) coefficient))
            return nearest(dtype, (float) (x * coefficient));
        // The product of two floats is exact in double, so that this rounds once, as a product of floats does.
        return nearest(dtype, (float) (x * (float) coefficient));
    }

    /** Clamps an element by limits in the precision that the type is added up in and, if finite, within the type. */
    static double clamped(DType dtype, double x, double min, double max) {
        double low = limit(dtype, min);
        double high = limit(dtype, max);
        return x > high ? nearest(dtype, high) : x < low ? nearest(dtype, low) : x;
    }

    private static double limit(DType dtype, double limit) {
        boolean beyond = Double.isFinite(limit) && Double.isInfinite(nearest(dtype, (float) limit));
        if (beyond && dtype != DType.FLOAT64) return Math.copySign(largest(dtype), limit);
        return dtype == DType.FLOAT64 ? limit : (float) limit;
    }

    static double largest(DType dtype) {
        return switch (dtype) {
            case FLOAT64 -> Double.MAX_VALUE;
            case FLOAT32 -> Float.MAX_VALUE;
            case FLOAT16 -> 65504;
            case BFLOAT16 -> 0x1.fep127;
        };
    }

    /** Returns the bits that hold a value of a type; NaN is the canonical one. */
    static long bits(DType dtype, double value) {
        boolean negative = Double.doubleToRawLongBits(value) < 0;
        return switch (dtype) {
            case FLOAT64 -> Double.doubleToLongBits(value);
            case FLOAT32 -> Double.isNaN(value) ? 0x7fffffff : Float.floatToRawIntBits((float) value);
            case FLOAT16 ->
                Double.isNaN(value) ? 0x7fff : (short) (float16Magnitude(Math.abs(value)) | (negative ? 0x8000 : 0));
            case BFLOAT16 -> Double.isNaN(value) ? 0x7fff : (short) (Float.floatToRawIntBits((float) value) >>> 16);
        };
    }

    private static int float16Magnitude(double value) {
        if (Double.isInfinite(value)) return 0x7c00;
        if (value < 0x1p-14) return (int) (value * 0x1p24);
        int exponent = Math.getExponent(value);
        return (exponent + 15) << 10 | ((int) Math.scalb(value, 10 - exponent) & 0x3ff);
    }
}
