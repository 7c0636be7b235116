// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Gradients of a scaled loss: norms are those of the unscaled ones, and one multiplication does both. */
class UnscaleTest {
    static Stream<TestBackend> backends() {
        return TestBackend.all();
    }

    private static void assertBits(List<long[]> expected, List<long[]> got, Object what) {
        for (int i = 0; i < expected.size(); i++) {
            assertArrayEquals(expected.get(i), got.get(i), () -> "tensor " + what);
        }
    }

    /** The gradients have no subnormal element, so each product by a power of two is exact. */
    @ParameterizedTest
    @MethodSource("backends")
    void byAPowerOfTwoItIsTheClipOfTheUnscaledToTheBit(TestBackend backend) {
        for (ClipRule rule : EveryRule.all()) {
            assertUnscaled(backend, rule, 1);
            assertUnscaled(backend, rule, Double.NEGATIVE_INFINITY);
            assertUnscaled(backend, rule.withNonFinitePolicy(NonFinitePolicy.ZERO), Double.NaN);
        }
    }

    private static void assertUnscaled(TestBackend backend, ClipRule rule, double odd) {
        try (MixedTensors plain = new MixedTensors(backend, odd, 1);
                MixedTensors scaled = new MixedTensors(backend, odd, 256)) {
            ClipResult want = plain.clipper.clip(rule);
            ClipResult got = scaled.clipper.clip(rule.withInverseScale(0x1p-8));
            assertBits(plain.bits(), scaled.bits(), rule);
            assertEquals(want.globalNorm(), got.globalNorm());
            assertEquals(want.coefficient() * 0x1p-8, got.coefficient());
            assertEquals(want.clipped(), got.clipped(), rule::toString);
            assertEquals(want.nonFinite(), got.nonFinite());
            assertEquals(want.elementsChanged(), got.elementsChanged(), rule::toString);
            if (EveryRule.clamps(rule)) return;
            assertEquals(want.rowNorm(6, 1000), got.rowNorm(6, 1000));
            assertEquals(want.rowCoefficient(6, 1000) * 0x1p-8, got.rowCoefficient(6, 1000));
            assertEquals(want.groupNorm("second"), got.groupNorm("second"));
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void whatIsSkippedOrRefusedStaysScaled(TestBackend backend) {
        for (ClipRule rule : EveryRule.all()) {
            try (MixedTensors mixed = new MixedTensors(backend, Double.NaN, 256)) {
                List<long[]> before = mixed.bits();
                ClipRule skip = rule.withInverseScale(0x1p-8).withNonFinitePolicy(NonFinitePolicy.SKIP);
                ClipRule error = skip.withNonFinitePolicy(NonFinitePolicy.ERROR);
                ClipResult result = mixed.clipper.clip(skip);
                assertTrue(result.nonFinite());
                assertFalse(result.clipped());
                assertThrows(NonFiniteGradientException.class, () -> mixed.clipper.clip(error));
                assertBits(before, mixed.bits(), rule);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void unscalingAloneIsNoClip(TestBackend backend) {
        for (DType dtype : DType.values()) {
            HostBuffer buffer = Values.buffer(dtype, 3, 4);
            try (GradientClipper clipper = backend.clipper(buffer)) {
                ClipResult result = clipper.clip(
                        ClipRule.globalNorm(Double.POSITIVE_INFINITY).withInverseScale(0.5));
                assertEquals(2.5, result.globalNorm());
                assertEquals(0.5, result.coefficient());
                assertFalse(result.clipped());
                assertArrayEquals(new double[] {1.5, 2}, Values.read(buffer));
                clipper.clip(ClipRule.value(9).withInverseScale(0.5));
                assertArrayEquals(new double[] {0.75, 1}, Values.read(buffer));
                assertEquals(
                        1,
                        clipper.clip(ClipRule.value(3.5, 9).withInverseScale(4)).elementsChanged());
                assertArrayEquals(new double[] {3.5, 4}, Values.read(buffer));
                NormRule onlyUnscales =
                        ClipRule.globalNorm(Double.POSITIVE_INFINITY).withInverseScale(0.5);
                ClipResult given = clipper.clipWithNorm(onlyUnscales, 9);
                assertEquals(0.5, given.coefficient());
                assertFalse(given.clipped());
                assertArrayEquals(new double[] {1.75, 2}, Values.read(buffer));
            }
        }
    }

    /** The product 40000 · 2 is infinite as FLOAT16 and is clamped, because only infinite gradients are zeroed. */
    @ParameterizedTest
    @MethodSource("backends")
    void zeroLooksBeforeUnscaling(TestBackend backend) {
        HostBuffer buffer = Values.buffer(DType.FLOAT16, 40_000, Double.NaN, -1, Double.NEGATIVE_INFINITY);
        try (GradientClipper clipper = backend.clipper(buffer)) {
            ClipResult result =
                    clipper.clip(ClipRule.value(5).withInverseScale(2).withNonFinitePolicy(NonFinitePolicy.ZERO));
            assertTrue(result.nonFinite());
            assertEquals(3, result.elementsChanged());
        }
        assertArrayEquals(new double[] {5, 0, -2, 0}, Values.read(buffer));
    }

    /** Coefficients are right for norms beyond the largest and below the least double. */
    @ParameterizedTest
    @MethodSource("backends")
    void beyondTheRangeOfADouble(TestBackend backend) {
        HostBuffer huge = Values.buffer(DType.FLOAT64, 3e300, 4e300);
        HostBuffer tiny = Values.buffer(DType.FLOAT64, 3e-300, 4e-300);
        try (GradientClipper a = backend.clipper(huge);
                GradientClipper b = backend.clipper(tiny)) {
            ClipResult far = a.clip(ClipRule.normalize(1).withInverseScale(1e10));
            assertEquals(Double.POSITIVE_INFINITY, far.globalNorm());
            assertFalse(far.nonFinite());
            ClipResult near =
                    b.clip(ClipRule.globalNorm(Double.MIN_VALUE).withEpsilon(0).withInverseScale(1e-100));
            assertEquals(0, near.globalNorm());
            assertFalse(near.clipped());
        }
        assertArrayEquals(new double[] {0.6, 0.8}, Values.read(huge), 1e-12);
    }

    @ParameterizedTest
    @MethodSource("backends")
    void aNormThatIsGivenIsThatOfTheUnscaled(TestBackend backend) {
        HostBuffer buffer = Values.buffer(DType.FLOAT32, 30, 40);
        try (GradientClipper clipper = backend.clipper(buffer)) {
            ClipResult result =
                    clipper.clipWithNorm(ClipRule.globalNorm(2.5).withEpsilon(0).withInverseScale(0.1), 5);
            assertEquals(0.05, result.coefficient());
            assertEquals(5, result.globalNorm());
            assertEquals(
                    0.5,
                    clipper.decide(ClipRule.globalNorm(1e9).withInverseScale(0.5))
                            .coefficient());
        }
        assertArrayEquals(new double[] {1.5f, 2}, Values.read(buffer));
    }

    @Test
    void whatCannotUnscale() {
        for (double bad : new double[] {0, -1, Double.NaN, Double.POSITIVE_INFINITY}) {
            for (ClipRule rule : EveryRule.all()) {
                IllegalArgumentException e =
                        assertThrows(IllegalArgumentException.class, () -> rule.withInverseScale(bad));
                assertTrue(String.valueOf(e.getMessage()).contains("inverseScale"), e::getMessage);
            }
        }
    }
}
