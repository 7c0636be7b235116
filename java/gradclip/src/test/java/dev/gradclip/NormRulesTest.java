// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Norm rules on tensors whose norms are whole numbers: the coefficient follows from the formula by hand. */
class NormRulesTest {
    private static final double INF = Double.POSITIVE_INFINITY;

    static Stream<TestBackend> backends() {
        return TestBackend.all();
    }

    private static void assertScaled(TestBackend backend, ClipRule rule, double coefficient, double... before) {
        for (DType dtype : DType.values()) {
            HostBuffer buffer = Values.buffer(dtype, before);
            double[] expected = Values.read(buffer);
            for (int i = 0; i < expected.length; i++) {
                expected[i] = Rounding.scaled(dtype, expected[i], coefficient);
            }
            try (GradientClipper clipper = backend.clipper(buffer)) {
                ClipResult result = clipper.clip(rule);
                assertEquals(coefficient, result.tensorCoefficient(0), () -> dtype + " " + rule);
                assertEquals(coefficient, result.rowCoefficient(0, 0));
                assertEquals(coefficient != 1, result.clipped());
            }
            assertArrayEquals(expected, Values.read(buffer), () -> dtype + " " + rule);
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void normalizeScalesUpAndDown(TestBackend backend) {
        // n = 5, length / n
        for (Scope scope : Scope.values()) {
            if (scope == Scope.GROUP) continue;
            assertScaled(backend, ClipRule.normalize(2.5).withScope(scope), 0.5, 3, 4);
            assertScaled(backend, ClipRule.normalize(20).withScope(scope), 4, 3, 4);
            assertScaled(backend, ClipRule.normalize(5).withScope(scope), 1, 3, 4);
            assertScaled(backend, ClipRule.normalize(0).withScope(scope), 0, 3, 4);
            assertScaled(backend, ClipRule.normalize(5).withScope(scope), 1, 0, 0);
        }
        assertScaled(backend, ClipRule.normalize(14).withNormType(NormType.L1), 2, 3, 4);
        assertScaled(backend, ClipRule.normalize(8).withNormType(NormType.INF), 2, 3, 4);
    }

    @ParameterizedTest
    @MethodSource("backends")
    void normalizeAboveLeavesANormThatIsNotAbove(TestBackend backend) {
        assertScaled(backend, ClipRule.normalizeAbove(5, 1), 1, 3, 4);
        assertScaled(backend, ClipRule.normalizeAbove(4.99, 2.5), 0.5, 3, 4);
        assertScaled(backend, ClipRule.normalizeAbove(4.99, 10), 2, 3, 4);
        assertScaled(backend, ClipRule.normalizeAbove(INF, 1), 1, 3, 4);
        // With the same number for both it is the global norm without an epsilon.
        assertScaled(backend, ClipRule.normalizeAbove(2.5, 2.5), 0.5, 3, 4);
        assertScaled(backend, ClipRule.globalNorm(2.5).withEpsilon(0), 0.5, 3, 4);
    }

    @ParameterizedTest
    @MethodSource("backends")
    void aNormTooSmallForItsLengthIsScaledByTwoToThe127(TestBackend backend) {
        for (double tiny : new double[] {0x1p-128, 0x1p-1000, Double.MIN_VALUE}) {
            HostBuffer buffer = Values.buffer(DType.FLOAT64, tiny, -0.0);
            try (GradientClipper clipper = backend.clipper(buffer)) {
                assertEquals(0x1p127, clipper.clip(ClipRule.normalize(1)).coefficient());
            }
            assertArrayEquals(new double[] {tiny * 0x1p127, -0.0}, Values.read(buffer));
        }
        HostBuffer smallest = Values.buffer(DType.FLOAT32, 0x1p-149);
        try (GradientClipper clipper = backend.clipper(smallest)) {
            clipper.clip(ClipRule.normalize(1));
        }
        assertArrayEquals(new double[] {0x1p-22}, Values.read(smallest));
    }

    @ParameterizedTest
    @MethodSource("backends")
    void averageNormDividesByTheElements(TestBackend backend) {
        // n / 5 = 1
        assertScaled(backend, ClipRule.averageNorm(0.5), 0.5, 3, 4, 0, 0, 0);
        assertScaled(backend, ClipRule.averageNorm(1), 1, 3, 4, 0, 0, 0);
        assertScaled(backend, ClipRule.averageNorm(0), 0, 3, 4, 0, 0, 0);
        assertScaled(backend, ClipRule.averageNorm(0.5), 1, 0, 0);
        // 8 / 4 = 2, the mean of |g|
        assertScaled(backend, ClipRule.averageNorm(0.5).withNormType(NormType.L1), 0.25, 1, -2, 3, -2);
        // epsilon is added to the average norm: 0.5 / (1 + 1)
        assertScaled(backend, ClipRule.averageNorm(0.5).withEpsilon(1), 0.25, 3, 4, 0, 0, 0);
    }

    @ParameterizedTest
    @MethodSource("backends")
    void blockRmsDividesByTheRootOfTheElements(TestBackend backend) {
        // sqrt(36 / 4) = 3
        assertScaled(backend, ClipRule.blockRms(1.5), 0.5, 3, -3, 3, -3);
        assertScaled(backend, ClipRule.blockRms(3), 1, 3, -3, 3, -3);
        assertScaled(backend, ClipRule.blockRms(0), 0, 3, -3, 3, -3);
        assertScaled(backend, ClipRule.blockRms(1), 1, 0, 0, 0);
    }

    @ParameterizedTest
    @MethodSource("backends")
    void averagesOverAllTensorsCountThoseThatAreThere(TestBackend backend) {
        HostBuffer a = Values.buffer(DType.FLOAT32, 3, 3, 3);
        HostBuffer b = Values.buffer(DType.FLOAT64, 3);
        HostBuffer c = Values.buffer(DType.FLOAT16, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12);
        try (GradientClipper clipper = backend.clipper(a, b, c)) {
            clipper.rebind(backend.place(Arrays.asList(a, b, null)));
            ClipResult rms = clipper.clip(ClipRule.blockRms(1.5).withScope(Scope.ALL));
            assertEquals(0.5, rms.coefficient()); // 3 over 4 elements
            ClipResult mean =
                    clipper.clip(ClipRule.averageNorm(0.75).withScope(Scope.ALL).withNormType(NormType.L1));
            assertEquals(0.5, mean.coefficient()); // 4 · 1.5 / 4
            assertEquals(6, mean.globalNorm());
            clipper.rebind(backend.place(List.of(a, b, c)));
            // sqrt((4 · 0.75² + 12 · 12²) / 16)
            ClipResult all = clipper.clip(ClipRule.blockRms(1).withScope(Scope.ALL));
            assertEquals(1 / Math.sqrt((4 * 0.75 * 0.75 + 12 * 144) / 16), all.coefficient(), 1e-15);
        }
    }

    /** Keras' own case: clipnorm 1 makes √½ of each. */
    @ParameterizedTest
    @MethodSource("backends")
    void kerasHundreds(TestBackend backend) {
        HostBuffer buffer = Values.buffer(DType.FLOAT64, 100, 100);
        try (GradientClipper clipper = backend.clipper(buffer)) {
            clipper.clip(ClipRule.perTensorNorm(1).withConvention(Convention.KERAS));
        }
        assertArrayEquals(new double[] {Math.sqrt(0.5), Math.sqrt(0.5)}, Values.read(buffer), 1e-16);
    }

    @ParameterizedTest
    @MethodSource("backends")
    void eachTensorByItsOwn(TestBackend backend) {
        HostBuffer a = Values.buffer(DType.FLOAT32, 3, 4);
        HostBuffer b = Values.buffer(DType.FLOAT16, 0.3, 0.4);
        HostBuffer c = Values.buffer(DType.BFLOAT16, 0, 0);
        HostBuffer d = Values.buffer(DType.FLOAT64);
        try (GradientClipper clipper = backend.clipper(a, b, c, d)) {
            ClipResult result = clipper.clip(ClipRule.normalize(10).withScope(Scope.TENSOR));
            assertTrue(Double.isNaN(result.coefficient()));
            assertEquals(2, result.tensorCoefficient(0));
            assertEquals(10 / result.tensorNorm(1), result.tensorCoefficient(1));
            assertEquals(1, result.tensorCoefficient(2));
            assertEquals(1, result.tensorCoefficient(3));
            assertArrayEquals(new double[] {6, 8}, Values.read(a));
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void infinityOnlyMeasuresWhateverTheForm(TestBackend backend) {
        NormRule[] rules = {
            ClipRule.averageNorm(INF),
            ClipRule.blockRms(INF),
            ClipRule.normalizeAbove(INF, 1),
            ClipRule.adaptive(INF),
            ClipRule.adaptive(INF, 0),
            ClipRule.perRowNorm(INF)
        };
        for (NormRule rule : rules) {
            for (Convention convention : Convention.values()) {
                for (double odd : new double[] {5, 0, INF, Double.NaN}) {
                    HostBuffer buffer = Values.buffer(DType.FLOAT32, 0, odd);
                    HostBuffer weights = Values.buffer(DType.FLOAT32, 0, 0);
                    long[] before = Values.bits(buffer);
                    NormRule each = rule.withConvention(convention);
                    try (GradientClipper clipper = backend.builder()
                            .add(backend.place(buffer))
                            .weights(backend.place(weights))
                            .build()) {
                        ClipResult result = clipper.clip(each);
                        assertFalse(result.clipped(), each::toString);
                        assertEquals(1, result.tensorCoefficient(0), each::toString);
                        assertEquals(!Double.isFinite(odd), result.nonFinite());
                    }
                    assertArrayEquals(before, Values.bits(buffer), each::toString);
                }
            }
        }
    }
}
