// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.measure;

/** 16-bit elements as floats, which Java has from 20 on, and floats cut off to 16 bits. */
public final class Half {
    private static final float SUBNORMAL_UNIT = 0x1p-24f;
    private static final int BIAS = 127 - 15;

    private Half() {}

    /** Exact. */
    public static float float16(short bits) {
        int exponent = bits >> 10 & 0x1f;
        int fraction = bits & 0x3ff;
        int sign = (bits & 0x8000) << 16;
        if (exponent == 0) {
            float magnitude = fraction * SUBNORMAL_UNIT;
            return sign == 0 ? magnitude : -magnitude;
        }
        int widened = exponent == 0x1f ? 0xff : exponent + BIAS;
        return Float.intBitsToFloat(sign | widened << 23 | fraction << 13);
    }

    /** Exact. */
    public static float bfloat16(short bits) {
        return Float.intBitsToFloat(bits << 16);
    }

    /** Cut off, for magnitudes from 2^-14 to 65504; what is smaller becomes some normal number below 2^-13. */
    static short toFloat16(float value) {
        int bits = Float.floatToRawIntBits(value);
        int exponent = Math.max(((bits >>> 23) & 0xff) - BIAS, 1);
        return (short) (((bits >>> 16) & 0x8000) | (exponent << 10) | ((bits >>> 13) & 0x3ff));
    }

    /** Cut off. */
    static short toBfloat16(float value) {
        return (short) (Float.floatToRawIntBits(value) >>> 16);
    }
}
