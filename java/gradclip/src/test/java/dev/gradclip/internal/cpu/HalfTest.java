// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.cpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Random;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Half types against their definitions: sign, exponent and mantissa; the nearest value, ties to even. */
@Tag("thorough")
class HalfTest {
    private static final int SCALE = Integer.getInteger("thorough.scale", 1);

    private static double float16(int bits) {
        int exponent = bits >> 10 & 31;
        int mantissa = bits & 1023;
        double magnitude = exponent == 0
                ? Math.scalb((double) mantissa, -24)
                : exponent < 31
                        ? Math.scalb(1024.0 + mantissa, exponent - 25)
                        : mantissa == 0 ? Double.POSITIVE_INFINITY : Double.NaN;
        return (bits & 0x8000) == 0 ? magnitude : -magnitude;
    }

    private static double bfloat16(int bits) {
        int exponent = bits >> 7 & 255;
        int mantissa = bits & 127;
        double magnitude = exponent == 0
                ? Math.scalb((double) mantissa, -133)
                : exponent < 255
                        ? Math.scalb(128.0 + mantissa, exponent - 134)
                        : mantissa == 0 ? Double.POSITIVE_INFINITY : Double.NaN;
        return (bits & 0x8000) == 0 ? magnitude : -magnitude;
    }

    @Test
    void everyPatternWidensExactlyAndComesBack() {
        for (int bits = 0; bits < 65536; bits++) {
            float half = Half.float16ToFloat((short) bits);
            float brain = Half.bfloat16ToFloat((short) bits);
            assertEquals(float16(bits), half);
            assertEquals(bfloat16(bits), brain);
            assertEquals(Float.isNaN(half) ? 0x7fff : bits, Half.floatToFloat16(half) & 0xffff);
            assertEquals(Float.isNaN(brain) ? 0x7fff : bits, Half.floatToBfloat16(brain) & 0xffff);
        }
    }

    /** Values between each pair of neighbours round right: just below the middle, the middle, just above it. */
    @Test
    void everyTieGoesToTheEvenNeighbour() {
        for (int sign = 0; sign <= 0x8000; sign += 0x8000) {
            for (int bits = 0; bits < 0x7c00; bits++) {
                // The largest number's neighbour is where infinity would be if it were a number.
                double above = bits == 0x7bff ? 65536 : float16(bits + 1);
                float middle = (float) ((float16(bits) + above) / 2);
                assertRounds(sign, bits, middle, true);
            }
            for (int bits = 0; bits < 0x7f80; bits++) {
                double above = bits == 0x7f7f ? 0x1p128 : bfloat16(bits + 1);
                float middle = (float) ((bfloat16(bits) + above) / 2);
                assertRounds(sign, bits, middle, false);
            }
        }
    }

    private static void assertRounds(int sign, int bits, float middle, boolean float16) {
        float signed = sign == 0 ? middle : -middle;
        float towards0 = Float.intBitsToFloat(Float.floatToRawIntBits(signed) - 1);
        float away = Float.intBitsToFloat(Float.floatToRawIntBits(signed) + 1);
        assertEquals(sign | bits, round(towards0, float16));
        assertEquals(sign | bits + (bits & 1), round(signed, float16));
        assertEquals(sign | bits + 1, round(away, float16));
    }

    private static int round(float value, boolean float16) {
        return (float16 ? Half.floatToFloat16(value) : Half.floatToBfloat16(value)) & 0xffff;
    }

    @Test
    void anyFloatGoesToTheNearest() {
        Random random = new Random(1);
        for (int i = 0; i < 2_000_000 * SCALE; i++) {
            float value = Float.intBitsToFloat(random.nextInt());
            if (Float.isNaN(value)) {
                assertEquals(0x7fff, round(value, true));
                assertEquals(0x7fff, round(value, false));
                continue;
            }
            assertNearest(value, float16(round(value, true)), 65504, Math.scalb(1.0, -25), 0x1p-11);
            assertNearest(value, bfloat16(round(value, false)), 0x1.fep127, Math.scalb(1.0, -134), 0x1p-8);
        }
    }

    private static void assertNearest(double value, double rounded, double largest, double least, double relative) {
        if (Double.isInfinite(rounded)) {
            assertTrue(Math.abs(value) >= largest && Math.signum(value) == Math.signum(rounded), () -> value + "");
        } else {
            double error = Math.abs(value - rounded);
            assertTrue(error <= Math.max(least, Math.abs(value) * relative), () -> value + " became " + rounded);
        }
    }
}
