// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Cases from the suites of other libraries that clip gradients. */
class PeerCasesTest {
    static Stream<TestBackend> backends() {
        return TestBackend.all();
    }

    private static double norm(NormType type, HostBuffer... buffers) {
        double max = 0;
        double sum = 0;
        for (HostBuffer buffer : buffers) {
            for (double x : Values.read(buffer)) {
                max = Math.max(max, Math.abs(x));
                sum += Math.pow(Math.abs(x), type.p());
            }
        }
        return type.equals(NormType.INF) ? max : Math.pow(sum, 1 / type.p());
    }

    private static NormType[] pytorchTypes() {
        return new NormType[] {NormType.p(0.5), NormType.p(1.5), NormType.L2, NormType.p(4), NormType.INF};
    }

    @ParameterizedTest
    @MethodSource("backends")
    void pytorchLargeGradientsEndAtTheThreshold(TestBackend backend) {
        for (NormType type : pytorchTypes()) {
            double[] ascending = IntStream.rangeClosed(1, 100).asDoubleStream().toArray();
            HostBuffer a = Values.buffer(DType.FLOAT32, ascending);
            HostBuffer b = Values.buffer(DType.FLOAT32, Values.constant(10, 0.001));
            double before = norm(type, a, b);
            try (GradientClipper clipper = backend.clipper(a, b)) {
                ClipResult result = clipper.clip(ClipRule.globalNorm(2).withNormType(type));
                assertEquals(before, result.globalNorm(), 1e-6 * before);
                float c = (float) result.coefficient();
                for (int i = 0; i < 100; i++) assertEquals((i + 1) * c, (float) Values.read(a)[i]);
                for (double x : Values.read(b)) assertEquals(0.001f * c, (float) x);
            }
            assertEquals(2, norm(type, a, b), 1e-5, type::toString);
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void pytorchSmallGradientsScaleByExactlyOne(TestBackend backend) {
        Random random = new Random(5);
        double[] small = random.doubles(100).map(x -> x / 10_000).toArray();
        for (NormType type : pytorchTypes()) {
            HostBuffer a = Values.buffer(DType.FLOAT32, small);
            HostBuffer b = Values.buffer(DType.FLOAT32, Values.constant(10, 1 / 500.0));
            long[] before = Values.bits(a);
            try (GradientClipper clipper = backend.clipper(a, b)) {
                ClipResult result = clipper.clip(ClipRule.globalNorm(2).withNormType(type));
                assertEquals(1, result.coefficient());
                assertFalse(result.clipped());
            }
            assertArrayEquals(before, Values.bits(a));
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void pytorchNonFiniteMatrix(TestBackend backend) {
        NormType[] types = {NormType.p(0.5), NormType.L1, NormType.p(2.5), NormType.L2, NormType.p(4), NormType.INF};
        double[] odd = {1 / 0.0, -1 / 0.0, 0 / 0.0, 2e22, -2e22, 2e200, -2e200};
        for (NormType type : types) {
            for (double value : odd) {
                for (boolean all : new boolean[] {true, false}) {
                    double[] values = Values.constant(100, all ? value : 1);
                    values[99] = value;
                    HostBuffer buffer = Values.buffer(DType.FLOAT64, values);
                    long[] before = Values.bits(buffer);
                    ClipRule rule =
                            ClipRule.globalNorm(1).withNormType(type).withNonFinitePolicy(NonFinitePolicy.ERROR);
                    try (GradientClipper clipper = backend.clipper(buffer)) {
                        if (Double.isFinite(value)) {
                            assertTrue(clipper.clip(rule).clipped());
                            assertTrue(norm(type, buffer) < 1.000001);
                        } else {
                            assertThrows(NonFiniteGradientException.class, () -> clipper.clip(rule));
                            assertArrayEquals(before, Values.bits(buffer));
                        }
                    }
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void pytorchValueClipping(TestBackend backend) {
        HostBuffer a = Values.buffer(
                DType.FLOAT32, IntStream.range(0, 100).mapToDouble(i -> i - 50).toArray());
        HostBuffer b = Values.buffer(DType.FLOAT32, Values.constant(10, 2));
        try (GradientClipper clipper = backend.clipper(a, b)) {
            clipper.clipByValue(2.5);
        }
        for (int i = 0; i < 100; i++) assertEquals(Math.max(-2.5, Math.min(2.5, i - 50)), Values.read(a)[i]);
        assertArrayEquals(Values.constant(10, 2), Values.read(b));
    }

    @ParameterizedTest
    @MethodSource("backends")
    void apexMixedTypesInAnyNumber(TestBackend backend) {
        DType[][] mixes = {{DType.FLOAT16, DType.FLOAT32, DType.FLOAT64}, {DType.FLOAT32}, {DType.FLOAT64}};
        Random random = new Random(11);
        for (DType[] mix : mixes) {
            for (int round = 0; round < 5; round++) {
                HostBuffer[] buffers = new HostBuffer[1 + random.nextInt(60)];
                for (int i = 0; i < buffers.length; i++) {
                    double[] values = random.doubles(1 + random.nextInt(700)).toArray();
                    buffers[i] = Values.buffer(mix[i % mix.length], values);
                }
                double tolerance = mix[0] == DType.FLOAT64 ? 1e-15 : 1e-6;
                double[] before = Stream.of(buffers)
                        .flatMapToDouble(x -> java.util.Arrays.stream(Values.read(x)))
                        .toArray();
                double exact = ExactNorm.l2(before);
                try (GradientClipper clipper = backend.clipper(buffers)) {
                    ClipResult result = clipper.clipByGlobalNorm(0.5 * exact);
                    assertEquals(exact, result.globalNorm(), tolerance * exact);
                    assertEquals(0.5 * exact / (exact + 1e-6), result.coefficient(), 2 * tolerance);
                    assertEquals(buffers.length, result.tensors());
                    assertEquals(before.length, result.elements());
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void transformerEngineSizesAndPlacesOfInfAndNaN(TestBackend backend) {
        int[] sizes = {555, 777, 33333, 65536, 65537, 7777 * 77};
        for (int n : sizes) {
            for (DType dtype : List.of(DType.FLOAT32, DType.FLOAT16, DType.BFLOAT16)) {
                HostBuffer a = Values.buffer(dtype, Values.constant(n, 4));
                HostBuffer b = Values.buffer(dtype, Values.constant(33, 4));
                try (GradientClipper clipper = backend.clipper(a, b)) {
                    assertEquals(4 * Math.sqrt(n + 33), clipper.globalNorm(), 1e-6 * Math.sqrt(n));
                }
                for (int place : new int[] {0, n / 2, n - 1}) {
                    for (double odd : new double[] {Double.POSITIVE_INFINITY, Double.NaN}) {
                        double[] values = Values.constant(n, 4);
                        values[place] = odd;
                        HostBuffer bad = Values.buffer(dtype, values);
                        try (GradientClipper first = backend.clipper(bad, b);
                                GradientClipper last = backend.clipper(b, bad)) {
                            assertEquals(odd, first.globalNorm(), dtype + " " + n);
                            assertEquals(odd, last.globalNorm(), dtype + " " + n);
                        }
                    }
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void transformerEngineEmptyTensorLast(TestBackend backend) {
        for (int empties = 1; empties <= 3; empties++) {
            List<HostBuffer> buffers = new ArrayList<>();
            buffers.add(Values.buffer(DType.FLOAT32, Values.constant(65537, 2)));
            for (int i = 0; i < empties; i++) buffers.add(Values.buffer(DType.FLOAT16));
            try (GradientClipper clipper = backend.clipper(buffers.toArray(new HostBuffer[0]))) {
                assertEquals(2 * Math.sqrt(65537), clipper.globalNorm(), 1e-4);
                ClipResult result = clipper.clipPerTensorNorm(1);
                assertEquals(0, result.tensorNorm(empties));
                assertEquals(1, result.tensorCoefficient(empties));
            }
            for (double x : Values.read(buffers.get(0))) assertEquals(1 / Math.sqrt(65537), x, 1e-8);
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void nemoThreeRunsAgreeToTheBitAndWithDoubles(TestBackend backend) {
        int n = (4 << 20) + 17;
        for (DType dtype : DType.values()) {
            HostBuffer buffer = Values.buffer(dtype, Values.normal(dtype.ordinal(), n, 0.01));
            double exact = ExactNorm.compensatedL2(Values.read(buffer));
            try (GradientClipper clipper = backend.clipper(buffer)) {
                double first = clipper.globalNorm();
                assertEquals(first, clipper.globalNorm());
                assertEquals(first, clipper.globalNorm());
                assertEquals(exact, first, exact * (dtype == DType.FLOAT64 ? 1e-14 : 2e-7), dtype::toString);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void nemoTheLargestBesideTheSmallest(TestBackend backend) {
        double[][] pairs = {
            {Float.MAX_VALUE / 8, 4 * Float.MIN_VALUE}, {65504 / 8.0, 4 * 0x1p-24}, {0x1.fep127 / 8, 4 * 0x1p-133}
        };
        DType[] dtypes = {DType.FLOAT32, DType.FLOAT16, DType.BFLOAT16};
        for (int i = 0; i < dtypes.length; i++) {
            HostBuffer buffer = Values.buffer(dtypes[i], pairs[i]);
            double exact = ExactNorm.l2(Values.read(buffer));
            try (GradientClipper clipper = backend.clipper(buffer)) {
                assertEquals(exact, clipper.globalNorm(), exact * 2e-7);
                clipper.clipByGlobalNorm(1);
            }
            assertEquals(1, ExactNorm.l2(Values.read(buffer)), 0x1p-7);
        }
        HostBuffer buffer = Values.buffer(DType.FLOAT64, Double.MAX_VALUE / 8, 4 * Double.MIN_VALUE);
        try (GradientClipper clipper = backend.clipper(buffer)) {
            assertEquals(Double.MAX_VALUE / 8, clipper.globalNorm());
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void optaxBoundsHoldOverFiftyShrinkingNorms(TestBackend backend) {
        HostBuffer global = Values.buffer(DType.FLOAT32, Values.normal(1, 500, 3));
        HostBuffer perTensor = Values.buffer(DType.FLOAT32, Values.normal(1, 500, 3));
        try (GradientClipper a = backend.clipper(global);
                GradientClipper b = backend.clipper(perTensor)) {
            for (int i = 1; i <= 50; i++) {
                a.clipByGlobalNorm(1.0 / i);
                b.clipPerTensorNorm(1.0 / i);
                assertEquals(1.0 / i, ExactNorm.l2(Values.read(global)), 3e-6);
                assertArrayEquals(Values.bits(global), Values.bits(perTensor));
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void optaxAZeroRowIsNotCountedAsClipped(TestBackend backend) {
        HostBuffer zero = Values.buffer(DType.FLOAT32, 0, 0, 0);
        HostBuffer large = Values.buffer(DType.FLOAT32, 3, 4);
        try (GradientClipper clipper = backend.clipper(zero, large)) {
            ClipResult result = clipper.clipPerTensorNorm(1);
            assertEquals(1, result.tensorCoefficient(0));
            assertTrue(result.tensorCoefficient(1) < 1);
        }
        assertArrayEquals(new double[] {0, 0, 0}, Values.read(zero));
    }

    @ParameterizedTest
    @MethodSource("backends")
    void kerasClipNormOfTwoEqualElements(TestBackend backend) {
        for (DType dtype : DType.values()) {
            HostBuffer buffer = Values.buffer(dtype, 100, 100);
            try (GradientClipper clipper = backend.clipper(buffer)) {
                clipper.clip(ClipRule.perTensorNorm(1).withEpsilon(0));
            }
            double tolerance = dtype.bytes() == 2 ? 0x1p-8 : 1e-7;
            assertArrayEquals(new double[] {Math.sqrt(0.5), Math.sqrt(0.5)}, Values.read(buffer), tolerance);
        }
        HostBuffer value = Values.buffer(DType.FLOAT32, 100, 100);
        try (GradientClipper clipper = backend.clipper(value)) {
            clipper.clipByValue(1);
        }
        assertArrayEquals(new double[] {1, 1}, Values.read(value));
    }
}
