// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.measure;

/** Turns 16-bit elements into floats, which Java can from 20 on, and cuts floats off to 16 bits. */
public final class Half {
    private static final float SUBNORMAL_UNIT = 0x1p-24f;
    private static final int BIAS = 127 - 15;

    private Half() {}

    /** Returns the value of a FLOAT16, exactly. */
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

    /** Returns the value of a BFLOAT16, exactly. */
    public static float bfloat16(short bits) {
        return Float.intBitsToFloat(bits << 16);
    }

    /** Cuts a float off, for magnitudes from 2^-14 to 65504; a smaller one becomes a normal number below 2^-13. */
    static short toFloat16(float value) {
        int bits = Float.floatToRawIntBits(value);
        int exponent = Math.max(((bits >>> 23) & 0xff) - BIAS, 1);
        return (short) (((bits >>> 16) & 0x8000) | (exponent << 10) | ((bits >>> 13) & 0x3ff));
    }

    /** Cuts a float off. */
    static short toBfloat16(float value) {
        return (short) (Float.floatToRawIntBits(value) >>> 16);
    }
}
