// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Failures of other libraries, each once; those that need 2^31 elements or real data have classes of their own. */
class KnownFailuresTest {
    static Stream<TestBackend> backends() {
        return TestBackend.all();
    }

    /** Squares that overflow made the norm infinite, and the step's gradients silently 0. */
    @ParameterizedTest
    @MethodSource("backends")
    void finiteGradientsDoNotBecomeZero(TestBackend backend) {
        HostBuffer half = Values.buffer(DType.FLOAT16, 300);
        HostBuffer single = Values.buffer(DType.FLOAT32, 1e20, 1e20);
        HostBuffer twice = Values.buffer(DType.FLOAT64, 1e200);
        try (GradientClipper a = backend.clipper(half);
                GradientClipper b = backend.clipper(single);
                GradientClipper c = backend.clipper(twice)) {
            assertEquals(300, a.clipByGlobalNorm(1).globalNorm());
            b.clipByGlobalNorm(1);
            c.clipByGlobalNorm(1);
        }
        assertEquals(1, Values.read(half)[0], 1e-3);
        assertArrayEquals(new double[] {Math.sqrt(0.5), Math.sqrt(0.5)}, Values.read(single), 1e-6);
        assertEquals(1, Values.read(twice)[0], 1e-14);
    }

    /** Per-tensor norms were stored in the gradients' type before they were combined: a norm of three digits. */
    @ParameterizedTest
    @MethodSource("backends")
    void normsOfManyHalfTensorsKeepTheirDigits(TestBackend backend) {
        for (DType dtype : new DType[] {DType.BFLOAT16, DType.FLOAT16}) {
            HostBuffer[] buffers = IntStream.range(0, 1000)
                    .mapToObj(i -> Values.buffer(dtype, Values.normal(i, 37, 0.01)))
                    .toArray(HostBuffer[]::new);
            double exact = ExactNorm.l2(Stream.of(buffers)
                    .flatMapToDouble(b -> java.util.Arrays.stream(Values.read(b)))
                    .toArray());
            try (GradientClipper clipper = backend.clipper(buffers)) {
                assertEquals(exact, clipper.globalNorm(), 1e-6 * exact);
            }
        }
    }

    /** Empty tensors dropped work, or corrupted what came after them. */
    @ParameterizedTest
    @MethodSource("backends")
    void emptyTensorsAnywhereDropNothing(TestBackend backend) {
        for (int mask = 0; mask < 16; mask++) {
            HostBuffer[] buffers = new HostBuffer[4];
            int full = 0;
            for (int i = 0; i < 4; i++) {
                boolean empty = (mask >> i & 1) == 1;
                if (!empty) full++;
                buffers[i] = Values.buffer(DType.values()[i], empty ? new double[0] : Values.constant(5000, 1));
            }
            try (GradientClipper clipper = backend.clipper(buffers)) {
                ClipResult result = clipper.clip(
                        ClipRule.globalNorm(Math.sqrt(5000.0 * full) / 2).withEpsilon(0));
                assertEquals(Math.sqrt(5000.0 * full), result.globalNorm(), 1e-6 * 5000);
                assertEquals(5000L * full, result.elements());
            }
            for (HostBuffer buffer : buffers) for (double x : Values.read(buffer)) assertEquals(0.5, x, 1e-2);
        }
    }

    /** A list of mixed types was read as one type. */
    @ParameterizedTest
    @MethodSource("backends")
    void typesMixInOneList(TestBackend backend) {
        HostBuffer[] buffers = IntStream.range(0, 40)
                .mapToObj(i -> Values.buffer(DType.values()[i % 4], Values.constant(13 + i, 2)))
                .toArray(HostBuffer[]::new);
        int n = Stream.of(buffers).mapToInt(b -> (int) b.length()).sum();
        try (GradientClipper clipper = backend.clipper(buffers)) {
            assertEquals(2 * Math.sqrt(n), clipper.globalNorm());
            assertEquals(2.0 * n, clipper.globalNorm(NormType.L1));
            clipper.clipByValue(0.5);
        }
        for (HostBuffer buffer : buffers) for (double x : Values.read(buffer)) assertEquals(0.5, x);
    }

    /** A negative threshold reversed every gradient. */
    @ParameterizedTest
    @MethodSource("backends")
    void aNegativeThresholdIsRefusedBeforeAnythingHappens(TestBackend backend) {
        HostBuffer buffer = Values.buffer(DType.FLOAT32, 3, 4);
        try (GradientClipper clipper = backend.clipper(buffer)) {
            assertThrows(IllegalArgumentException.class, () -> clipper.clipByGlobalNorm(-1));
            assertThrows(IllegalArgumentException.class, () -> clipper.clipPerTensorNorm(-1));
            assertThrows(IllegalArgumentException.class, () -> clipper.clipByValue(-1));
            assertThrows(IllegalArgumentException.class, () -> clipper.clipWithNorm(-1, 5));
            assertThrows(IllegalArgumentException.class, () -> clipper.clipWithNorm(1, -5));
        }
        assertArrayEquals(new double[] {3, 4}, Values.read(buffer));
    }

    /** A result was read while the next call overwrote it. */
    @ParameterizedTest
    @MethodSource("backends")
    void aResultIsASnapshot(TestBackend backend) {
        HostBuffer buffer = Values.buffer(DType.FLOAT32, 3, 4);
        try (GradientClipper clipper = backend.clipper(buffer)) {
            ClipResult first = clipper.clipByGlobalNorm(2);
            String before = first.toString();
            clipper.clipByGlobalNorm(1);
            clipper.clipByValue(0.1);
            assertEquals(before, first.toString());
            assertEquals(5, first.globalNorm());
        }
    }

    /** The caller passed the wrong list, and nothing said that nothing was clipped. */
    @ParameterizedTest
    @MethodSource("backends")
    void theResultSaysWhatWasCovered(TestBackend backend) {
        try (GradientClipper clipper =
                backend.builder().declare("a", DType.FLOAT32, 10).build()) {
            ClipResult result = clipper.clipByGlobalNorm(1);
            assertEquals(0, result.tensors());
            assertEquals(0, result.elements());
            assertFalse(result.clipped());
        }
        try (GradientClipper clipper = backend.clipper(
                Values.buffer(DType.FLOAT32, 1, 2), Values.buffer(DType.FLOAT64), Values.buffer(DType.FLOAT16, 3))) {
            ClipResult result = clipper.clipByValue(1);
            assertEquals(3, result.tensors());
            assertEquals(3, result.elements());
            assertTrue(result.clipped());
        }
    }
}
