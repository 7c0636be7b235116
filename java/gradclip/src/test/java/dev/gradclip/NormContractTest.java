// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Norms are right against exact arithmetic, with the same bits on every backend, thread count and kind of memory. */
class NormContractTest {
    static final int[] SIZES = {
        0, 1, 2, 3, 5, 13, 31, 32, 33, 127, 128, 129, 207, 1023, 1024, 1025, 2047, 2048, 2049, 4095, 4096, 4097, 4098,
        65537
    };
    static final NormType[] TYPES = {NormType.L1, NormType.L2, NormType.INF};

    static Stream<TestBackend> backends() {
        return TestBackend.all();
    }

    /** The error bound with u = 2^-24 (2^-53 for FLOAT64): 8 u for L2, 16 u for L1, none for the maximum. */
    static double bound(DType dtype, NormType type) {
        double u = dtype == DType.FLOAT64 ? 0x1p-53 : 0x1p-24;
        return type.equals(NormType.INF) ? 0 : type.equals(NormType.L2) ? 8 * u : 16 * u;
    }

    @ParameterizedTest
    @MethodSource("backends")
    void everySizeIsWithinTheBoundOfExactArithmetic(TestBackend backend) {
        for (DType dtype : DType.values()) {
            for (int n : SIZES) {
                HostBuffer buffer = Values.buffer(dtype, Values.normal(n, n, 3));
                double[] values = Values.read(buffer);
                try (GradientClipper clipper = backend.clipper(buffer)) {
                    for (NormType type : TYPES) {
                        double exact = ExactNorm.of(type, values);
                        assertEquals(
                                exact,
                                clipper.globalNorm(type),
                                exact * bound(dtype, type),
                                () -> dtype + " " + n + " " + type);
                    }
                }
            }
        }
    }

    @ParameterizedTest
    @EnumSource(DType.class)
    void bitsAreTheSameOnEveryBackendThreadCountAndKindOfMemory(DType dtype) {
        for (int n : SIZES) {
            double[] values = Values.normal(n + 7, n, 1);
            for (NormType type : TYPES) {
                List<Double> norms = new ArrayList<>();
                TestBackend.all().forEach(backend -> {
                    for (Values.Memory memory : Values.Memory.values()) {
                        try (GradientClipper clipper = backend.clipper(Values.buffer(dtype, values, memory))) {
                            norms.add(clipper.globalNorm(type));
                        }
                    }
                });
                for (double norm : norms) {
                    assertEquals(norms.get(0), norm, () -> dtype + " " + n + " " + type + " " + norms);
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void threadsAndExecutorsDoNotShowInTheBits(TestBackend backend) {
        HostBuffer[] buffers = new HostBuffer[7];
        for (int i = 0; i < buffers.length; i++) {
            buffers[i] = Values.buffer(DType.values()[i % 4], Values.normal(i, 100_003 * (i + 1), 1));
        }
        List<Double> norms = new ArrayList<>();
        for (int threads : new int[] {1, 2, 3, 8}) {
            GradientClipperBuilder builder = backend.builder().threads(threads);
            for (HostBuffer buffer : buffers) builder.add(backend.place(buffer));
            try (GradientClipper clipper = builder.build()) {
                for (int repeat = 0; repeat < 5; repeat++) norms.add(clipper.globalNorm());
            }
        }
        GradientClipperBuilder builder = backend.builder().executor(command -> new Thread(command).start(), 4);
        for (HostBuffer buffer : buffers) builder.add(backend.place(buffer));
        try (GradientClipper clipper = builder.build()) {
            norms.add(clipper.globalNorm());
        }
        for (double norm : norms) assertEquals(norms.get(0), norm, norms::toString);
    }

    @ParameterizedTest
    @MethodSource("backends")
    void piecesGiveTheBitsOfOnePiece(TestBackend backend) {
        for (DType dtype : DType.values()) {
            int tile = 8192 / dtype.bytes();
            double[] values = Values.normal(5, 7 * tile + 11, 2);
            HostBuffer whole = Values.buffer(dtype, values);
            HostBuffer pieces = HostBuffer.ofPieces(
                    Values.buffer(dtype, java.util.Arrays.copyOfRange(values, 0, 2 * tile), Values.Memory.DIRECT),
                    Values.buffer(dtype, java.util.Arrays.copyOfRange(values, 2 * tile, 3 * tile)),
                    Values.buffer(
                            dtype,
                            java.util.Arrays.copyOfRange(values, 3 * tile, values.length),
                            Values.Memory.UNALIGNED));
            try (GradientClipper one = backend.clipper(whole);
                    GradientClipper three = backend.clipper(pieces)) {
                for (NormType type : TYPES) assertEquals(one.globalNorm(type), three.globalNorm(type));
                one.clipByGlobalNorm(1);
                three.clipByGlobalNorm(1);
            }
            assertArrayEquals(Values.bits(whole), Values.bits(pieces));
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void otherNormsAgreeWithTheFormula(TestBackend backend) {
        double[] values = Values.normal(3, 5000, 1);
        for (DType dtype : DType.values()) {
            HostBuffer a = Values.buffer(dtype, values);
            HostBuffer b = Values.buffer(dtype, 3, -4);
            try (GradientClipper clipper = backend.clipper(a, b)) {
                for (double p : new double[] {0.5, 1.5, 3, 4, 7.25}) {
                    double sum = 0;
                    for (double v : Values.read(a)) sum += Math.pow(Math.abs(v), p);
                    sum += Math.pow(3, p) + Math.pow(4, p);
                    double expected = Math.pow(sum, 1 / p);
                    assertEquals(expected, clipper.globalNorm(NormType.p(p)), 1e-12 * expected, dtype + " p " + p);
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void mixedTypesAndEmptyTensorsAnywhere(TestBackend backend) {
        HostBuffer[] buffers = {
            Values.buffer(DType.FLOAT32),
            Values.buffer(DType.FLOAT64, Values.normal(1, 3000, 1)),
            Values.buffer(DType.FLOAT16, Values.normal(2, 5000, 1)),
            Values.buffer(DType.FLOAT16),
            Values.buffer(DType.BFLOAT16, Values.normal(3, 1, 1)),
            Values.buffer(DType.FLOAT32, Values.normal(4, 2049, 1)),
            Values.buffer(DType.FLOAT64),
        };
        double[] all = Stream.of(buffers)
                .flatMapToDouble(b -> java.util.Arrays.stream(Values.read(b)))
                .toArray();
        try (GradientClipper clipper = backend.clipper(buffers)) {
            for (NormType type : TYPES) {
                double exact = ExactNorm.of(type, all);
                assertEquals(exact, clipper.globalNorm(type), exact * bound(DType.FLOAT32, type));
            }
            ClipResult result = clipper.clipByGlobalNorm(1);
            assertEquals(7, result.tensors());
            assertEquals(all.length, result.elements());
            assertTrue(result.clipped());
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void noTensorsAndOnlyEmptyOnesHaveNormZero(TestBackend backend) {
        try (GradientClipper none = backend.clipper();
                GradientClipper empty = backend.clipper(Values.buffer(DType.FLOAT32))) {
            assertEquals(0, none.globalNorm());
            assertEquals(0, empty.globalNorm());
            assertEquals(0, empty.globalNorm(NormType.p(3)));
            assertEquals(0, none.clipByGlobalNorm(1).elements());
            assertEquals(0, empty.clipByValue(1).elementsChanged());
        }
    }
}
