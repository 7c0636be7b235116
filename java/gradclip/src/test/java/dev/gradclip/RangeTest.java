// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Norms of finite gradients whose squares leave the range of the type that adds them up. */
class RangeTest {
    static Stream<TestBackend> backends() {
        return TestBackend.all();
    }

    private static double bound(DType dtype, NormType type) {
        return NormContractTest.bound(dtype, type);
    }

    private static void assertNorms(TestBackend backend, DType dtype, double... values) {
        HostBuffer buffer = Values.buffer(dtype, values);
        double[] rounded = Values.read(buffer);
        try (GradientClipper clipper = backend.clipper(buffer)) {
            for (NormType type : NormContractTest.TYPES) {
                double exact = ExactNorm.of(type, rounded);
                double tolerance = exact * bound(dtype, type) + Math.ulp(exact);
                assertEquals(exact, clipper.globalNorm(type), tolerance, () -> type + " of " + dtype);
            }
            ClipResult result = clipper.clipByGlobalNorm(Double.POSITIVE_INFINITY);
            assertFalse(result.nonFinite());
            assertFalse(result.clipped());
        }
    }

    /** Clips to a norm, and finds exactly that norm afterwards. */
    private static void assertClips(TestBackend backend, DType dtype, double maxNorm, double... values) {
        HostBuffer buffer = Values.buffer(dtype, values);
        try (GradientClipper clipper = backend.clipper(buffer)) {
            ClipResult result = clipper.clip(ClipRule.globalNorm(maxNorm).withEpsilon(0));
            assertTrue(result.clipped(), result::toString);
            assertFalse(result.nonFinite(), result::toString);
        }
        double tolerance = dtype == DType.FLOAT64 ? 1e-12 : dtype == DType.FLOAT32 ? 1e-6 : 0x1p-7;
        assertEquals(maxNorm, ExactNorm.l2(Values.read(buffer)), maxNorm * tolerance);
    }

    @ParameterizedTest
    @MethodSource("backends")
    void squaresThatOverflowFloat(TestBackend backend) {
        for (double x : new double[] {1e20, 1e38, Float.MAX_VALUE}) {
            for (int n : new int[] {1, 2, 207, 2049, 9000}) {
                assertNorms(backend, DType.FLOAT32, Values.constant(n, x));
                assertClips(backend, DType.FLOAT32, 1, Values.constant(n, -x));
            }
        }
        assertNorms(backend, DType.BFLOAT16, Values.constant(5000, 0x1.fep127));
        assertClips(backend, DType.BFLOAT16, 1, Values.constant(5000, 0x1.fep127));
    }

    @ParameterizedTest
    @MethodSource("backends")
    void squaresThatOverflowHalf(TestBackend backend) {
        assertNorms(backend, DType.FLOAT16, 300);
        assertNorms(backend, DType.FLOAT16, Values.constant(5000, 65504));
        assertClips(backend, DType.FLOAT16, 1, 300);
        assertClips(backend, DType.FLOAT16, 100, Values.constant(5000, -65504));
    }

    @ParameterizedTest
    @MethodSource("backends")
    void squaresThatOverflowDouble(TestBackend backend) {
        for (int n : new int[] {1, 3, 1023, 1025, 5000}) {
            assertNorms(backend, DType.FLOAT64, Values.constant(n, 1e200));
            assertClips(backend, DType.FLOAT64, 1, Values.constant(n, 1e200));
        }
        assertNorms(backend, DType.FLOAT64, 1.7e308);
    }

    @ParameterizedTest
    @MethodSource("backends")
    void aNormAboveTheLargestDoubleIsInfiniteButClipsRightly(TestBackend backend) {
        for (int n : new int[] {2, 4, 1025, 3000}) {
            HostBuffer buffer = Values.buffer(DType.FLOAT64, Values.constant(n, 1.7e308));
            try (GradientClipper clipper = backend.clipper(buffer)) {
                for (NormType type : List.of(NormType.L1, NormType.L2, NormType.p(1.5))) {
                    ClipResult result = clipper.clip(
                            ClipRule.globalNorm(Double.POSITIVE_INFINITY).withNormType(type));
                    assertEquals(Double.POSITIVE_INFINITY, result.globalNorm());
                    assertFalse(result.nonFinite());
                }
                clipper.clip(ClipRule.globalNorm(1).withNonFinitePolicy(NonFinitePolicy.ERROR));
            }
            assertEquals(1, ExactNorm.l2(Values.read(buffer)), 1e-12);
            assertClips(backend, DType.FLOAT64, 1e300, Values.constant(n, 1.7e308));
        }
        HostBuffer one = Values.buffer(DType.FLOAT64, 1.7e308, 1.7e308);
        try (GradientClipper clipper = backend.clipper(one)) {
            clipper.clip(ClipRule.globalNorm(1e10).withNormType(NormType.L1));
        }
        assertEquals(1e10, ExactNorm.l1(Values.read(one)), 1e-2);
    }

    @ParameterizedTest
    @MethodSource("backends")
    void squaresThatUnderflow(TestBackend backend) {
        for (int n : new int[] {1, 2, 207, 2049, 9000}) {
            assertNorms(backend, DType.FLOAT32, Values.constant(n, 1e-30));
            assertNorms(backend, DType.FLOAT32, Values.constant(n, Float.MIN_VALUE));
            assertNorms(backend, DType.FLOAT32, Values.constant(n, 3e-42));
            assertNorms(backend, DType.BFLOAT16, Values.constant(n, 0x1p-133));
            assertNorms(backend, DType.FLOAT16, Values.constant(n, 0x1p-24));
            assertNorms(backend, DType.FLOAT64, Values.constant(n, 1e-200));
            assertNorms(backend, DType.FLOAT64, Values.constant(n, Double.MIN_VALUE));
            assertNorms(backend, DType.FLOAT64, Values.constant(n, 3e-320));
        }
        assertClips(backend, DType.FLOAT32, 1e-32, Values.constant(2049, 1e-30));
        assertClips(backend, DType.FLOAT64, 1e-220, Values.constant(2049, 1e-200));
    }

    @ParameterizedTest
    @MethodSource("backends")
    void tinyNormsMeetTinyThresholds(TestBackend backend) {
        for (double x : new double[] {1e-150, 1e-200, 1e-300, 1e-308, 1e-318}) {
            for (double max : new double[] {1e-150, 1e-250, 1e-300, 1e-310, Double.MIN_VALUE, 1e-3}) {
                for (double epsilon : new double[] {0, 1e-6, 1e-200, 1e-310}) {
                    HostBuffer buffer = Values.buffer(DType.FLOAT64, x);
                    try (GradientClipper clipper = backend.clipper(buffer)) {
                        ClipResult result =
                                clipper.clip(ClipRule.globalNorm(max).withEpsilon(epsilon));
                        double expected = Math.min(1, max / (x + epsilon));
                        assertEquals(expected, result.coefficient(), 1e-10 * expected, result::toString);
                    }
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void hugeAndTinyTilesMix(TestBackend backend) {
        double[] values = new double[8 * 2048];
        double[] scales = {1e-40, 1e30, 0, 1, 1e-25, 1e19, 3e38, 1e-45};
        Random random = new Random(1);
        for (int i = 0; i < values.length; i++) values[i] = random.nextDouble() * scales[i / 2048];
        assertNorms(backend, DType.FLOAT32, values);
        assertNorms(backend, DType.BFLOAT16, values);
        double[] doubles = new double[8 * 1024];
        double[] doubleScales = {1e-310, 1e300, 0, 1, 1e-200, 1e150, 1e200, 1e-160};
        for (int i = 0; i < doubles.length; i++) doubles[i] = random.nextDouble() * doubleScales[i / 1024];
        assertNorms(backend, DType.FLOAT64, doubles);
        Arrays.fill(doubles, 1024, 2048, 0);
        Arrays.fill(doubles, 5 * 1024, 7 * 1024, 0);
        assertNorms(backend, DType.FLOAT64, doubles);
        Arrays.fill(doubles, 3 * 1024, 4 * 1024, 0);
        assertNorms(backend, DType.FLOAT64, doubles);
    }

    @ParameterizedTest
    @MethodSource("backends")
    void hugeAndTinyTensorsMix(TestBackend backend) {
        double[][] tensors = {{1e-300, 1e-310}, {}, Values.constant(3000, 1e250), {1e-20}, {3e38, 1e-40}, {65504}};
        DType[] dtypes = {DType.FLOAT64, DType.FLOAT32, DType.FLOAT64, DType.BFLOAT16, DType.FLOAT32, DType.FLOAT16};
        HostBuffer[] buffers = new HostBuffer[tensors.length];
        for (int i = 0; i < tensors.length; i++) buffers[i] = Values.buffer(dtypes[i], tensors[i]);
        try (GradientClipper clipper = backend.clipper(buffers)) {
            ClipResult result = clipper.clipPerTensorNorm(Double.POSITIVE_INFINITY);
            for (int i = 0; i < buffers.length; i++) {
                double exact = ExactNorm.l2(Values.read(buffers[i]));
                assertEquals(exact, result.tensorNorm(i), exact * bound(dtypes[i], NormType.L2) + Math.ulp(exact));
            }
            double exact = Math.sqrt(3000) * 1e250;
            assertEquals(exact, result.globalNorm(), 1e-14 * exact);
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void aTileOfZerosAmongTinyOnes(TestBackend backend) {
        double[] values = Values.constant(3 * 2048, 1e-35);
        Arrays.fill(values, 2048, 4096, 0);
        assertNorms(backend, DType.FLOAT32, values);
        Arrays.fill(values, 2048, 4096, -0.0);
        assertNorms(backend, DType.FLOAT32, values);
        double[] doubles = Values.constant(3 * 1024, 1e-250);
        Arrays.fill(doubles, 1024, 2048, -0.0);
        assertNorms(backend, DType.FLOAT64, doubles);
    }

    @ParameterizedTest
    @MethodSource("backends")
    void negativeZerosHaveNormPlusZero(TestBackend backend) {
        for (DType dtype : DType.values()) {
            try (GradientClipper clipper = backend.clipper(Values.buffer(dtype, Values.constant(5000, -0.0)))) {
                for (NormType type : NormContractTest.TYPES) {
                    assertEquals(0.0, clipper.globalNorm(type), () -> dtype + " " + type);
                }
                assertEquals(0.0, clipper.globalNorm(NormType.p(3)));
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void tileSumsAtTheEdgesOfTheRange(TestBackend backend) {
        double[] float32 = {0x1p-40, 0x1p60};
        double[] float64 = {0x1p-450, 0x1p450};
        for (double edge : float32) {
            for (DType dtype : new DType[] {DType.FLOAT32, DType.BFLOAT16}) {
                double unit = dtype == DType.FLOAT32 ? 0x1p-23 : 0x1p-7;
                for (int n : new int[] {1, 4, 64}) {
                    double x = edge / Math.sqrt(n);
                    for (int step = -2; step <= 2; step++) assertEdge(backend, dtype, n, x * (1 + step * unit));
                }
            }
        }
        for (double edge : float64) {
            for (int n : new int[] {1, 4, 64}) {
                double x = edge / Math.sqrt(n);
                for (int step = -2; step <= 2; step++) assertEdge(backend, DType.FLOAT64, n, x * (1 + step * 0x1p-52));
            }
        }
        for (int step = -2; step <= 2; step++) {
            assertEdge(backend, DType.FLOAT32, 1, 0x1p120 * (1 + step * 0x1p-23));
            assertEdge(backend, DType.FLOAT64, 1, 0x1p900 * (1 + step * 0x1p-52));
        }
    }

    private static void assertEdge(TestBackend backend, DType dtype, int n, double x) {
        double[] values = Values.constant(n, x);
        HostBuffer buffer = Values.buffer(dtype, values);
        assertNorms(backend, dtype, values);
        try (GradientClipper clipper = backend.clipper(buffer)) {
            for (NormType type : NormContractTest.TYPES) {
                double reference = ReferenceReduction.norm(type, dtype, Values.read(buffer));
                assertEquals(reference, clipper.globalNorm(type), () -> n + " of " + x + " " + dtype + " " + type);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void nonFiniteIsToldIfAndOnlyIfAnElementIs(TestBackend backend) {
        double[] odd = {Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY};
        Random random = new Random(7);
        for (DType dtype : DType.values()) {
            double largest = Rounding.nearest(dtype, dtype == DType.FLOAT16 ? 65504 : 3e38);
            if (dtype == DType.FLOAT64) largest = Double.MAX_VALUE;
            for (int n : new int[] {1, 13, 2049, 9001}) {
                for (NormType type : List.of(NormType.L1, NormType.L2, NormType.INF, NormType.p(3))) {
                    double[] values = Values.constant(n, random.nextBoolean() ? largest : -largest);
                    ClipRule rule =
                            ClipRule.globalNorm(Double.POSITIVE_INFINITY).withNormType(type);
                    try (GradientClipper clipper = backend.clipper(Values.buffer(dtype, values))) {
                        assertFalse(clipper.clip(rule).nonFinite(), () -> dtype + " " + n + " " + type);
                    }
                    values[random.nextInt(n)] = odd[random.nextInt(3)];
                    try (GradientClipper clipper = backend.clipper(Values.buffer(dtype, values))) {
                        assertTrue(clipper.clip(rule).nonFinite(), () -> dtype + " " + n + " " + type);
                    }
                }
            }
        }
    }
}
