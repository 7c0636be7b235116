// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.inspect;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.gradclip.DType;
import dev.gradclip.cli.Gradients;
import dev.gradclip.measure.Half;
import java.math.BigDecimal;
import java.math.MathContext;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ElementStatsTest {
    private static ElementStats of(DType dtype, byte[] bytes) {
        ElementStats stats = new ElementStats(new double[ElementStats.BLOCK]);
        stats.add(ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN), dtype);
        return stats;
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 3, 1023, 1024, 1025, 5000})
    void meanIsRightToTheLastDigits(int count) {
        Random random = new Random(count);
        double[] values = new double[count];
        BigDecimal sum = BigDecimal.ZERO;
        double magnitudes = 0;
        for (int i = 0; i < count; i++) {
            values[i] = random.nextGaussian() * Math.scalb(1.0, random.nextInt(20));
            sum = sum.add(new BigDecimal(values[i]));
            magnitudes += Math.abs(values[i]);
        }
        double mean =
                sum.divide(BigDecimal.valueOf(count), MathContext.DECIMAL64).doubleValue();
        ElementStats stats = of(DType.FLOAT64, Gradients.bytes(values));
        assertEquals(count, stats.elements());
        assertEquals(mean, stats.mean(), 1e-14 * magnitudes / count);
    }

    @Test
    void meanOfHugeValuesIsFinite() {
        double max = Double.MAX_VALUE;
        assertEquals(max, of(DType.FLOAT64, Gradients.bytes(max, max, max, max)).mean(), 1e-15 * max);
        assertEquals(0, of(DType.FLOAT64, Gradients.bytes(max, -max)).mean());
    }

    @Test
    void meanOfTinyValuesIsNotZero() {
        double min = Double.MIN_VALUE;
        assertEquals(2 * min, of(DType.FLOAT64, Gradients.bytes(min, 3 * min)).mean());
    }

    @Test
    void infinitiesAndNaN() {
        float inf = Float.POSITIVE_INFINITY;
        assertEquals(inf, of(DType.FLOAT32, Gradients.bytes(inf, 1f, inf)).mean());
        assertEquals(-inf, of(DType.FLOAT32, Gradients.bytes(-inf, 1f)).mean());
        ElementStats both = of(DType.FLOAT32, Gradients.bytes(-inf, inf, Float.NaN, 0f));
        assertEquals(Double.NaN, both.mean());
        assertEquals(2, both.infinite());
        assertEquals(1, both.nan());
        assertEquals(0.25, both.zeroShare());
    }

    @Test
    void ofNothing() {
        ElementStats stats = of(DType.FLOAT16, new byte[0]);
        assertEquals(Double.NaN, stats.mean());
        assertEquals(Double.NaN, stats.zeroShare());
    }

    @Test
    void totals() {
        ElementStats all = of(DType.FLOAT32, Gradients.bytes(1f, 0f));
        all.add(of(DType.BFLOAT16, Gradients.bytes((short) 0x4040, (short) 0x7fc0, (short) 0x8000)));
        assertEquals(5, all.elements());
        assertEquals(1, all.nan());
        assertEquals(0.4, all.zeroShare());
    }

    @Test
    void halvesWidenAndRoundBack() {
        for (int bits = 0; bits < 1 << 16; bits++) {
            float half = Half.float16((short) bits);
            if (!Float.isNaN(half)) assertEquals((short) bits, Truth.float16(half));
            float brain = Half.bfloat16((short) bits);
            if (!Float.isNaN(brain)) assertEquals((short) bits, Truth.bfloat16(brain));
        }
        assertEquals(65504f, Half.float16((short) 0x7bff));
        assertEquals(0x1p-24f, Half.float16((short) 1));
        assertEquals(Float.NEGATIVE_INFINITY, Half.float16((short) 0xfc00));
        assertEquals(Float.NaN, Half.float16((short) 0x7e00));
    }
}
