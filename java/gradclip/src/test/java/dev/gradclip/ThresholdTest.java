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

/** Thresholds at their edges, and epsilon, in the formula {@code min(1, maxNorm / (norm + epsilon))}. */
class ThresholdTest {
    static Stream<TestBackend> backends() {
        return TestBackend.all();
    }

    @ParameterizedTest
    @MethodSource("backends")
    void aNormOfZeroLeavesGradientsUnchanged(TestBackend backend) {
        for (double epsilon : new double[] {0, 1e-6, 1}) {
            HostBuffer buffer = Values.buffer(DType.FLOAT32, 0, -0.0);
            long[] before = Values.bits(buffer);
            try (GradientClipper clipper = backend.clipper(buffer)) {
                for (ClipRule rule : List.of(
                        ClipRule.globalNorm(1).withEpsilon(epsilon),
                        ClipRule.perTensorNorm(1).withEpsilon(epsilon))) {
                    ClipResult result = clipper.clip(rule);
                    assertEquals(0, result.globalNorm());
                    assertEquals(1, result.tensorCoefficient(0));
                    assertFalse(result.clipped());
                }
            }
            assertArrayEquals(before, Values.bits(buffer));
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void aNormEqualToTheThresholdShrinksByEpsilonOnly(TestBackend backend) {
        HostBuffer exact = Values.buffer(DType.FLOAT32, 3, 4);
        try (GradientClipper clipper = backend.clipper(exact)) {
            assertFalse(clipper.clip(ClipRule.globalNorm(5).withEpsilon(0)).clipped());
            assertArrayEquals(new double[] {3, 4}, Values.read(exact));
            ClipResult result = clipper.clipByGlobalNorm(5);
            assertTrue(result.clipped());
            assertEquals(5 / (5 + 1e-6), result.coefficient());
        }
        float c = (float) (5 / (5 + 1e-6));
        assertArrayEquals(new double[] {3 * c, 4 * c}, Values.read(exact));
    }

    @ParameterizedTest
    @MethodSource("backends")
    void epsilonIsAddedToTheNorm(TestBackend backend) {
        for (double epsilon : new double[] {0, 1e-12, 1e-3, 1, 1e30}) {
            HostBuffer buffer = Values.buffer(DType.FLOAT64, 30, 40);
            try (GradientClipper clipper = backend.clipper(buffer)) {
                ClipResult result = clipper.clip(ClipRule.globalNorm(10).withEpsilon(epsilon));
                assertEquals(10 / (50 + epsilon), result.coefficient());
                assertArrayEquals(
                        new double[] {30 * result.coefficient(), 40 * result.coefficient()}, Values.read(buffer));
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void zeroZeroes(TestBackend backend) {
        for (DType dtype : DType.values()) {
            for (ClipRule rule : List.of(ClipRule.globalNorm(0), ClipRule.perTensorNorm(0), ClipRule.value(0))) {
                HostBuffer buffer = Values.buffer(dtype, Values.normal(1, 3000, 1));
                try (GradientClipper clipper = backend.clipper(buffer)) {
                    assertTrue(clipper.clip(rule).clipped());
                }
                for (double x : Values.read(buffer)) assertTrue(x == 0, () -> dtype + " " + rule);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void infinityOnlyMeasures(TestBackend backend) {
        double inf = Double.POSITIVE_INFINITY;
        for (ClipRule rule : List.of(ClipRule.globalNorm(inf), ClipRule.perTensorNorm(inf), ClipRule.value(inf))) {
            for (double odd : new double[] {5, inf, Double.NaN}) {
                HostBuffer buffer = Values.buffer(DType.FLOAT32, 1, odd);
                long[] before = Values.bits(buffer);
                try (GradientClipper clipper = backend.clipper(buffer)) {
                    assertFalse(clipper.clip(rule).clipped());
                }
                assertArrayEquals(before, Values.bits(buffer));
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void aNormBelowTheThresholdIsNotPaidForWithAWrite(TestBackend backend) {
        HostBuffer buffer = Values.buffer(DType.FLOAT32, 0.3, 0.4);
        try (GradientClipper clipper = backend.clipper(buffer)) {
            ClipResult result = clipper.clipByGlobalNorm(1);
            assertEquals(1, result.coefficient());
            assertFalse(result.clipped());
        }
    }

    @Test
    void nanAndNegativeThresholdsAreRefused() {
        for (double bad : new double[] {Double.NaN, -1, -Double.MIN_VALUE, Double.NEGATIVE_INFINITY}) {
            for (org.junit.jupiter.api.function.Executable call : List.<org.junit.jupiter.api.function.Executable>of(
                    () -> ClipRule.globalNorm(bad),
                    () -> ClipRule.perTensorNorm(bad),
                    () -> ClipRule.value(bad),
                    () -> ClipRule.globalNorm(1).withEpsilon(bad),
                    () -> ClipRule.perTensorNorm(1).withEpsilon(bad))) {
                IllegalArgumentException e = assertThrows(IllegalArgumentException.class, call);
                assertTrue(String.valueOf(e.getMessage()).contains(String.valueOf(bad)), e::getMessage);
            }
        }
        assertThrows(
                IllegalArgumentException.class, () -> ClipRule.globalNorm(1).withEpsilon(Double.POSITIVE_INFINITY));
        assertThrows(IllegalArgumentException.class, () -> ClipRule.value(1, -1));
        assertThrows(IllegalArgumentException.class, () -> ClipRule.value(Double.NaN, 1));
        assertThrows(IllegalArgumentException.class, () -> ClipRule.value(-1, Double.NaN));
    }

    @Test
    void rulesAreValues() {
        assertEquals(ClipRule.globalNorm(1), ClipRule.globalNorm(1).withNormType(NormType.p(2)));
        assertEquals(ClipRule.value(2), ClipRule.value(-2, 2));
        assertEquals(
                List.of("global-norm", "per-tensor-norm", "value"),
                List.of(
                        ClipRule.globalNorm(1).name(),
                        ClipRule.perTensorNorm(1).name(),
                        ClipRule.value(1).name()));
        assertEquals(
                NonFinitePolicy.SKIP,
                ClipRule.value(1).withNonFinitePolicy(NonFinitePolicy.SKIP).nonFinitePolicy());
        assertEquals(1e-6, ClipRule.globalNorm(1).epsilon());
        assertEquals(
                NormType.L1,
                ClipRule.perTensorNorm(1)
                        .withNormType(NormType.L1)
                        .withEpsilon(0)
                        .normType());
    }

    @ParameterizedTest
    @MethodSource("backends")
    void aThresholdOfMinusZeroIsZeroAndKeepsSigns(TestBackend backend) {
        HostBuffer buffer = Values.buffer(DType.FLOAT32, 3, -4);
        try (GradientClipper clipper = backend.clipper(buffer)) {
            clipper.clipByGlobalNorm(-0.0);
        }
        assertArrayEquals(new double[] {0.0, -0.0}, Values.read(buffer));
    }
}
