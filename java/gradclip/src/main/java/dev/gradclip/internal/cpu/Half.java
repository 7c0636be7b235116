// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.cpu;

/**
 * Converts FLOAT16 and BFLOAT16 bits to float and back, rounding to nearest even. NaN becomes the canonical NaN of
 * NVIDIA's conversions, in which every bit but the sign is set. Integer arithmetic replaces float arithmetic wherever a
 * subnormal float would occur, so that a thread that flushes subnormals gets the same bits.
 */
public final class Half {
    private Half() {}

    /** Converts exactly. */
    public static float float16ToFloat(short half) {
        int sign = (half & 0x8000) << 16;
        int exponent = (half >>> 10) & 31;
        int mantissa = half & 0x3ff;
        if (exponent == 0) return Float.intBitsToFloat(sign | Float.floatToRawIntBits(mantissa * 0x1p-24f));
        if (exponent == 31) return Float.intBitsToFloat(sign | 0x7f800000 | (mantissa << 13));
        return Float.intBitsToFloat(sign | ((exponent + 112) << 23) | (mantissa << 13));
    }

    /** Rounds to nearest even; above 65519 it is infinity. */
    public static short floatToFloat16(float value) {
        int bits = Float.floatToRawIntBits(value);
        int sign = (bits >>> 16) & 0x8000;
        int magnitude = bits & 0x7fffffff;
        if (magnitude > 0x7f800000) return 0x7fff;
        if (magnitude >= 0x477ff000) return (short) (sign | 0x7c00);
        if (magnitude < 0x38800000) {
            // Below 2^-14 a half's unit is 2^-24, which is float's unit in [0.5, 1): the addition rounds.
            int rounded = Float.floatToRawIntBits(Float.intBitsToFloat(magnitude) + 0.5f);
            return (short) (sign | (rounded - 0x3f000000));
        }
        int rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
        return (short) (sign | ((rounded - (112 << 23)) >>> 13));
    }

    /** Converts exactly. */
    public static float bfloat16ToFloat(short bits) {
        return Float.intBitsToFloat(bits << 16);
    }

    /** Rounds to nearest even. */
    public static short floatToBfloat16(float value) {
        int bits = Float.floatToRawIntBits(value);
        if ((bits & 0x7fffffff) > 0x7f800000) return 0x7fff;
        return (short) ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16);
    }
}
