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
    private static final double[] NO_SCALES = {
        0,
        -1,
        Double.NaN,
        Double.POSITIVE_INFINITY,
        Double.MIN_VALUE,
        1e-310,
        Math.nextDown((double) Float.MIN_NORMAL),
        Math.nextUp((double) Float.MAX_VALUE),
        1e39
    };

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
    void staysWhereAFloatHoldsTheScaleAndItsInverse() {
        DynamicLossScaler high = new DynamicLossScaler(0x1p127, 2, 0.5, 1);
        high.update(false);
        assertEquals(0x1p127, high.scale());
        DynamicLossScaler low = new DynamicLossScaler(0x1p-120, 2, 0.1, 1);
        for (int i = 0; i < 9; i++) low.update(true);
        assertEquals(Float.MIN_NORMAL, low.scale());
        assertEquals(0x1p126, low.unscaling(ClipRule.globalNorm(1)).inverseScale());
        low.update(false);
        assertEquals(0x1p-125, low.scale());
    }

    /** Batch after batch overflows, far beyond what training survives; the first good one is then clipped as usual. */
    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#all")
    void gradientsAreRightAfterAnyNumberOfOverflows(TestBackend backend) {
        DynamicLossScaler scaler = new DynamicLossScaler();
        for (int i = 0; i < 200; i++) {
            scaler.update(true);
            if (i < 140 && i % 20 > 0) continue;
            float loss = (float) scaler.scale();
            HostBuffer buffer = HostBuffer.wrap(new float[] {loss * 0.5f, loss * -0.25f, loss * 0, loss * 3});
            try (GradientClipper clipper = backend.clipper(buffer)) {
                ClipResult result = clipper.clip(scaler.unscaling(ClipRule.globalNorm(1)));
                assertEquals(Math.sqrt(9.3125), result.globalNorm());
                assertFalse(result.nonFinite());
            }
            double[] right = {0.16384633f, -0.081923164f, 0, 0.983078f};
            assertArrayEquals(right, Values.read(buffer), 1e-7, "scale " + scaler.scale());
        }
    }

    /** Gradients added up over four micro-batches, of which the rule takes the mean. */
    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#all")
    void unscalesWhatTheRuleUnscalesToo(TestBackend backend) {
        DynamicLossScaler scaler = new DynamicLossScaler();
        for (ClipRule rule : EveryRule.all()) {
            ClipRule both = scaler.unscaling(rule.withInverseScale(0.25));
            assertEquals(0x1p-18, both.inverseScale(), rule::toString);
            assertEquals(NonFinitePolicy.SKIP, both.nonFinitePolicy());
        }
        HostBuffer buffer = scaled(new DynamicLossScaler(4096, 2, 0.5, 1), 12, 0);
        try (GradientClipper clipper = backend.clipper(buffer)) {
            NormRule mean = ClipRule.globalNorm(1.5).withEpsilon(0).withInverseScale(0.25);
            ClipResult result = clipper.clip(new DynamicLossScaler(4096, 2, 0.5, 1).unscaling(mean));
            assertEquals(3, result.globalNorm());
        }
        assertArrayEquals(new double[] {1.5, 0}, Values.read(buffer));
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
        for (double bad : NO_SCALES) {
            IllegalArgumentException e = assertThrows(IllegalArgumentException.class, () -> next.restore(bad, 0));
            assertTrue(String.valueOf(e.getMessage()).contains("scale must be from 2^-126"), e::getMessage);
        }
        assertThrows(IllegalArgumentException.class, () -> next.restore(1, -1));
        assertEquals(16, next.scale(), "what is refused changes nothing");
        for (double good : new double[] {Float.MIN_NORMAL, Float.MAX_VALUE}) {
            next.restore(good, 0);
            assertEquals(1 / good, next.unscaling(ClipRule.globalNorm(1)).inverseScale());
        }
    }

    /** The count starts anew after each interval, as PyTorch's does, even if the scale can't grow any more. */
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
        for (double bad : NO_SCALES) {
            assertThrows(IllegalArgumentException.class, () -> new DynamicLossScaler(bad, 2, 0.5, 1));
        }
        assertThrows(IllegalArgumentException.class, () -> new DynamicLossScaler(1, 1, 0.5, 1));
        assertThrows(IllegalArgumentException.class, () -> new DynamicLossScaler(1, 2, 1, 1));
        assertThrows(IllegalArgumentException.class, () -> new DynamicLossScaler(1, 2, 0.5, 0));
    }

    /** A step that overflows FLOAT16 is skipped; the next, at half the scale, is unscaled and clipped at once. */
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
            assertEquals(5, taken.globalNorm(), "of the unscaled gradient");
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
