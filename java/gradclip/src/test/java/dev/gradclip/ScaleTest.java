// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Every element written is {@code round_T(x * coefficient)}, bit for bit. */
class ScaleTest {
    private static final double[] COEFFICIENTS = {
        0,
        Double.MIN_VALUE,
        1e-300,
        0x1p-149,
        0x1.8p-149,
        0x1.3p-140,
        1e-40,
        0x1p-126,
        1e-35,
        Math.nextDown(0x1p-100),
        0x1.ffffffp-101,
        0x1p-100,
        1e-30,
        0x1.123456789p-50,
        1e-6,
        0.1,
        1 / 3.0,
        0.5,
        0.7071067811865475,
        0.9995,
        1 - 0x1p-24,
        Math.nextUp(1 - 0x1p-25),
        Math.nextDown(1 - 0x1p-25)
    };

    static Stream<TestBackend> backends() {
        return TestBackend.all();
    }

    /** Scales by a coefficient, given as the threshold for a norm of 1. */
    private static ClipResult scale(GradientClipper clipper, double coefficient) {
        ClipResult result =
                clipper.clipWithNorm(ClipRule.globalNorm(coefficient).withEpsilon(0), 1);
        assertEquals(coefficient, result.coefficient());
        return result;
    }

    /** Returns elements of all kinds: every pattern of the half types, edges and random bits of the others. */
    static HostBuffer allKinds(DType dtype, long seed) {
        Random random = new Random(seed);
        return switch (dtype) {
            case FLOAT64 -> {
                double[] x = new double[5000];
                for (int i = 0; i < x.length; i++) x[i] = Double.longBitsToDouble(random.nextLong());
                for (int i = 0; i < 1000; i++) x[i] = random.nextGaussian();
                double[] edges = {
                    0.0, -0.0, 1, Double.MIN_VALUE, -Double.MIN_NORMAL, Double.MAX_VALUE, 1 / 0.0, -1 / 0.0, 0 / 0.0
                };
                System.arraycopy(edges, 0, x, 1000, edges.length);
                x[1020] = Double.longBitsToDouble(0xfff4000000000123L);
                yield HostBuffer.wrap(x);
            }
            case FLOAT32 -> {
                float[] x = new float[20_000];
                for (int i = 0; i < x.length; i++) x[i] = Float.intBitsToFloat(random.nextInt());
                for (int i = 0; i < 1000; i++) x[i] = (float) random.nextGaussian();
                float[] edges = {
                    0f, -0f, 1, Float.MIN_VALUE, -Float.MIN_NORMAL, Float.MAX_VALUE, 1 / 0f, -1 / 0f, 0 / 0f
                };
                System.arraycopy(edges, 0, x, 1000, edges.length);
                x[1020] = Float.intBitsToFloat(0xff812345);
                yield HostBuffer.wrap(x);
            }
            case FLOAT16, BFLOAT16 -> {
                short[] x = new short[65536];
                for (int i = 0; i < x.length; i++) x[i] = (short) i;
                yield HostBuffer.wrap(x, dtype);
            }
        };
    }

    @ParameterizedTest
    @MethodSource("backends")
    void everyElementIsTheRoundedProduct(TestBackend backend) {
        Random random = new Random(3);
        for (DType dtype : DType.values()) {
            for (int i = 0; i < COEFFICIENTS.length + 8; i++) {
                double c = i < COEFFICIENTS.length ? COEFFICIENTS[i] : random.nextDouble();
                HostBuffer buffer = allKinds(dtype, i);
                double[] before = Values.read(buffer);
                long[] untouched = Values.bits(buffer);
                boolean one = dtype == DType.FLOAT64 ? c == 1 : (float) c == 1;
                try (GradientClipper clipper = backend.clipper(buffer)) {
                    assertEquals(!one, scale(clipper, c).clipped());
                }
                long[] expected = new long[before.length];
                for (int k = 0; k < before.length; k++) {
                    expected[k] = one ? untouched[k] : Rounding.bits(dtype, Rounding.scaled(dtype, before[k], c));
                }
                assertArrayEquals(expected, Values.bits(buffer), () -> dtype + " times " + c);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void everyKindOfMemoryAndLengthIsWritten(TestBackend backend) {
        for (DType dtype : DType.values()) {
            for (int n : NormContractTest.SIZES) {
                if (n > 5000) continue;
                double[] values = Values.normal(n, n, 1);
                for (Values.Memory memory : Values.Memory.values()) {
                    HostBuffer buffer = Values.buffer(dtype, values, memory);
                    double[] before = Values.read(buffer);
                    try (GradientClipper clipper = backend.clipper(buffer)) {
                        scale(clipper, 0.3);
                    }
                    long[] expected = new long[n];
                    for (int i = 0; i < n; i++) {
                        expected[i] = Rounding.bits(dtype, Rounding.scaled(dtype, before[i], 0.3));
                    }
                    assertArrayEquals(expected, Values.bits(buffer), () -> dtype + " " + n + " " + memory);
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#onHost")
    void nothingBesidesARangeIsWritten(TestBackend backend) {
        for (int n : new int[] {1, 3, 31, 1000, 2049}) {
            float[] array = new float[n + 20];
            java.util.Arrays.fill(array, 1);
            try (GradientClipper clipper = backend.clipper(HostBuffer.wrap(array, 10, n))) {
                scale(clipper, 0.5);
            }
            for (int i = 0; i < array.length; i++) assertEquals(i < 10 || i >= n + 10 ? 1 : 0.5f, array[i]);
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void aCoefficientOfOneWritesNothing(TestBackend backend) {
        for (DType dtype : DType.values()) {
            HostBuffer buffer = allKinds(dtype, 1);
            long[] before = Values.bits(buffer);
            try (GradientClipper clipper = backend.clipper(buffer)) {
                // Signalling NaN are among them: if one were written, it would become canonical.
                assertFalse(scale(clipper, 1).clipped());
                assertFalse(clipper.clipWithNorm(2, 1).clipped());
                assertFalse(clipper.clipByGlobalNorm(Double.POSITIVE_INFINITY).clipped());
            }
            assertArrayEquals(before, Values.bits(buffer));
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void aCoefficientThatRoundsToOneChangesFloat64Only(TestBackend backend) {
        double almost = 1 - 0x1p-26;
        for (DType dtype : DType.values()) {
            HostBuffer buffer = allKinds(dtype, 1);
            long[] before = Values.bits(buffer);
            try (GradientClipper clipper = backend.clipper(buffer)) {
                assertEquals(dtype == DType.FLOAT64, scale(clipper, almost).clipped());
            }
            if (dtype != DType.FLOAT64) assertArrayEquals(before, Values.bits(buffer));
        }
        HostBuffer single = Values.buffer(DType.FLOAT32, 1, 2);
        HostBuffer twice = Values.buffer(DType.FLOAT64, 1, 2);
        try (GradientClipper clipper = backend.clipper(single, twice)) {
            assertTrue(scale(clipper, almost).clipped());
        }
        assertArrayEquals(new double[] {1, 2}, Values.read(single));
        assertArrayEquals(new double[] {almost, 2 * almost}, Values.read(twice));
    }

    @ParameterizedTest
    @MethodSource("backends")
    void eachTensorHasItsOwnCoefficient(TestBackend backend) {
        HostBuffer[] buffers = new HostBuffer[40];
        double[][] before = new double[buffers.length][];
        for (int i = 0; i < buffers.length; i++) {
            buffers[i] = Values.buffer(DType.values()[i % 4], Values.normal(i, i * 177, 1 + i));
            before[i] = Values.read(buffers[i]);
        }
        try (GradientClipper clipper = backend.clipper(buffers)) {
            ClipResult result = clipper.clipPerTensorNorm(20);
            assertTrue(Double.isNaN(result.coefficient()));
            for (int i = 0; i < buffers.length; i++) {
                DType dtype = buffers[i].dtype();
                double c = Math.min(1, 20 / (result.tensorNorm(i) + 1e-6));
                assertEquals(c, result.tensorCoefficient(i));
                double[] after = Values.read(buffers[i]);
                for (int k = 0; k < after.length; k++) {
                    assertEquals(Rounding.scaled(dtype, before[i][k], c), after[k], dtype + " tensor " + i);
                }
            }
        }
    }
}
