// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli;

/** Exact widening of 16-bit elements, which Java has from 20 on. */
final class Half {
    private static final float SUBNORMAL_UNIT = 0x1p-24f;

    private Half() {}

    static float float16(short bits) {
        int exponent = bits >> 10 & 0x1f;
        int fraction = bits & 0x3ff;
        int sign = (bits & 0x8000) << 16;
        if (exponent == 0) {
            float magnitude = fraction * SUBNORMAL_UNIT;
            return sign == 0 ? magnitude : -magnitude;
        }
        int widened = exponent == 0x1f ? 0xff : exponent + 127 - 15;
        return Float.intBitsToFloat(sign | widened << 23 | fraction << 13);
    }

    static float bfloat16(short bits) {
        return Float.intBitsToFloat(bits << 16);
    }
}
