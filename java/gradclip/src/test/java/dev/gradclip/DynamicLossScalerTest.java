// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The scale follows what clips find, as PyTorch's GradScaler does. */
final class DynamicLossScalerTest {
    @Test
    void growsAfterAnIntervalAndBacksOffAtOnce() {
        DynamicLossScaler scaler = new DynamicLossScaler(1024, 2, 0.5, 3);
        assertTrue(scaler.update(false));
        assertTrue(scaler.update(false));
        assertEquals(1024, scaler.scale());
        assertTrue(scaler.update(false));
        assertEquals(2048, scaler.scale());
        assertEquals(0, scaler.finiteSteps());
        assertTrue(scaler.update(false));
        assertFalse(scaler.update(true));
        assertEquals(1024, scaler.scale());
        assertEquals(0, scaler.finiteSteps(), "the interval starts again");
    }

    @Test
    void theDefaultsArePyTorchs() {
        DynamicLossScaler scaler = new DynamicLossScaler();
        assertEquals(65536, scaler.scale());
        for (int i = 0; i < 1999; i++) scaler.update(false);
        assertEquals(65536, scaler.scale());
        scaler.update(false);
        assertEquals(131072, scaler.scale());
        scaler.update(true);
        assertEquals(65536, scaler.scale());
    }

    @Test
    void staysWithinAFloatAndAboveZero() {
        DynamicLossScaler high = new DynamicLossScaler(0x1p127, 2, 0.5, 1);
        high.update(false);
        assertEquals(0x1p127, high.scale());
        DynamicLossScaler low = new DynamicLossScaler(0x1p-1000, 2, 0x1p-100, 1);
        low.update(true);
        assertEquals(Double.MIN_NORMAL, low.scale());
        assertTrue(1 / low.scale() < Double.POSITIVE_INFINITY);
    }

    @Test
    void aCheckpointGoesOn() {
        DynamicLossScaler scaler = new DynamicLossScaler(8, 2, 0.5, 4);
        scaler.update(false);
        scaler.update(false);
        DynamicLossScaler next = new DynamicLossScaler(1, 2, 0.5, 4);
        next.restore(scaler.scale(), scaler.finiteSteps());
        next.update(false);
        next.update(false);
        assertEquals(16, next.scale());
        assertThrows(IllegalArgumentException.class, () -> next.restore(0, 0));
        assertThrows(IllegalArgumentException.class, () -> next.restore(1, -1));
    }

    /** As PyTorch counts: anew after each interval, also where the scale can grow no more. */
    @Test
    void countsAnewWhereItCanGrowNoMore() {
        DynamicLossScaler scaler = new DynamicLossScaler(0x1p127, 2, 0.5, 2);
        assertTrue(scaler.update(false));
        assertEquals(1, scaler.finiteSteps());
        assertTrue(scaler.update(false));
        assertEquals(0, scaler.finiteSteps());
        assertEquals(0x1p127, scaler.scale());
    }

    @Test
    void numbersOutOfRangeAreRefused() {
        assertThrows(IllegalArgumentException.class, () -> new DynamicLossScaler(0, 2, 0.5, 1));
        assertThrows(IllegalArgumentException.class, () -> new DynamicLossScaler(Double.NaN, 2, 0.5, 1));
        assertThrows(IllegalArgumentException.class, () -> new DynamicLossScaler(1, 1, 0.5, 1));
        assertThrows(IllegalArgumentException.class, () -> new DynamicLossScaler(1, 2, 1, 1));
        assertThrows(IllegalArgumentException.class, () -> new DynamicLossScaler(1, 2, 0.5, 0));
    }

    /** A step whose scaled gradients overflow FLOAT16 is skipped; the next, at half the scale, is unscaled and clipped at once. */
    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#all")
    void skipsAStepThatOverflowsAndTakesTheNext(TestBackend backend) {
        DynamicLossScaler scaler = new DynamicLossScaler(16384, 2, 0.5, 2000);
        HostBuffer overflowing = scaled(scaler, 3, -4);
        try (GradientClipper clipper = backend.clipper(overflowing)) {
            ClipResult skipped = clipper.clip(scaler.unscaling(ClipRule.globalNorm(2.5)));
            assertTrue(skipped.nonFinite(), "4 · 16384 is beyond FLOAT16");
            assertArrayEquals(new double[] {3 * 16384, Double.NEGATIVE_INFINITY}, Values.read(overflowing));
            assertFalse(scaler.update(skipped));
        }
        assertEquals(8192, scaler.scale());
        HostBuffer next = scaled(scaler, 3, -4);
        try (GradientClipper clipper = backend.clipper(next)) {
            NormRule rule = ClipRule.globalNorm(2.5).withEpsilon(0);
            ClipResult taken = clipper.clip(scaler.unscaling(rule));
            assertTrue(scaler.update(taken));
            assertEquals(5, taken.totalNorm(), "of the unscaled gradient");
            assertEquals(0.5 / 8192, taken.coefficient());
            assertArrayEquals(new double[] {1.5, -2}, Values.read(next));
        }
    }

    private static HostBuffer scaled(DynamicLossScaler scaler, double... gradient) {
        double[] values = gradient.clone();
        for (int i = 0; i < values.length; i++) values[i] *= scaler.scale();
        return Values.buffer(DType.FLOAT16, values);
    }
}
