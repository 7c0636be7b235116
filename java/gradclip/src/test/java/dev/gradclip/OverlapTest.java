// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Binding memory twice, which would count and scale it twice, is refused, naming both tensors. */
class OverlapTest {
    private static void assertRefused(TestBackend backend, HostBuffer first, HostBuffer second) {
        HostBuffer between = Values.buffer(DType.FLOAT32, 1, 2, 3);
        for (boolean swap : new boolean[] {false, true}) {
            GradientClipperBuilder builder = backend.builder()
                    .add("first", swap ? second : first)
                    .add("between", between)
                    .add("second", swap ? first : second);
            String message = String.valueOf(
                    assertThrows(IllegalArgumentException.class, builder::build).getMessage());
            assertTrue(message.contains("first") && message.contains("second"), message);
        }
    }

    private static ByteBuffer slice(ByteBuffer bytes, int from, int to) {
        return bytes.duplicate().position(from).limit(to).slice().order(ByteOrder.LITTLE_ENDIAN);
    }

    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#onHost")
    void heapArrays(TestBackend backend) {
        float[] a = new float[100];
        assertRefused(backend, HostBuffer.wrap(a), HostBuffer.wrap(a));
        assertRefused(backend, HostBuffer.wrap(a, 0, 51), HostBuffer.wrap(a, 50, 50));
        assertRefused(backend, HostBuffer.wrap(a), HostBuffer.wrap(a, 99, 1));
        byte[] bytes = new byte[100];
        assertRefused(
                backend,
                HostBuffer.wrap(slice(ByteBuffer.wrap(bytes), 0, 40), DType.FLOAT32),
                HostBuffer.wrap(slice(ByteBuffer.wrap(bytes), 39, 47), DType.FLOAT64));
        short[] shorts = new short[10];
        assertRefused(
                backend, HostBuffer.wrap(shorts, 0, 6, DType.FLOAT16), HostBuffer.wrap(shorts, 5, 5, DType.BFLOAT16));
    }

    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#onHost")
    void aPieceOfTheSameTensorOrOfAnother(TestBackend backend) {
        float[] a = new float[8192];
        HostBuffer twice = HostBuffer.ofPieces(HostBuffer.wrap(a, 0, 2048), HostBuffer.wrap(a, 2047, 100));
        assertThrows(IllegalArgumentException.class, () -> backend.clipper(twice));
        HostBuffer pieces = HostBuffer.ofPieces(HostBuffer.wrap(a, 4096, 2048), HostBuffer.wrap(a, 0, 2048));
        assertRefused(backend, pieces, HostBuffer.wrap(a, 2000, 100));
    }

    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#onHost")
    void neighboursAndEmptyOnesAreNoOverlap(TestBackend backend) {
        float[] a = new float[100];
        Arrays.fill(a, 1);
        try (GradientClipper clipper = backend.clipper(
                HostBuffer.wrap(a, 0, 50),
                HostBuffer.wrap(a, 50, 50),
                HostBuffer.wrap(a, 20, 0),
                HostBuffer.wrap(a, 20, 0))) {
            assertEquals(10, clipper.globalNorm());
        }
        ByteBuffer direct = ByteBuffer.allocateDirect(80);
        try (GradientClipper clipper = backend.clipper(
                HostBuffer.wrap(slice(direct, 0, 40), DType.FLOAT32),
                HostBuffer.wrap(slice(direct, 40, 80), DType.FLOAT64))) {
            assertEquals(0, clipper.globalNorm());
        }
    }

    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#onHost")
    void directBuffersAndAddresses(TestBackend backend) {
        assumeTrue(Backend.NATIVE.isAvailable(), "the native library tells the addresses of direct buffers");
        ByteBuffer direct = ByteBuffer.allocateDirect(200);
        HostBuffer whole = HostBuffer.wrap(slice(direct, 0, 200), DType.FLOAT32);
        assertRefused(backend, whole, HostBuffer.wrap(slice(direct, 196, 198), DType.FLOAT16));
        assertRefused(backend, whole, HostBuffer.wrap(slice(direct, 0, 4).asFloatBuffer()));
        long address = dev.gradclip.internal.jni.NativeLevels.address(direct);
        assertRefused(backend, whole, HostBuffer.wrap(address + 100, 3, DType.FLOAT64, direct));
        assertRefused(
                backend,
                HostBuffer.wrap(address, 3, DType.FLOAT64, direct),
                HostBuffer.wrap(address + 23, 1, DType.FLOAT16, direct));
        try (GradientClipper clipper = backend.clipper(
                HostBuffer.wrap(address, 3, DType.FLOAT64, direct),
                HostBuffer.wrap(address + 24, 1, DType.FLOAT16, direct))) {
            assertEquals(0, clipper.globalNorm());
        }
    }

    @Test
    void manyRangesOfManyArrays() {
        float[][] arrays = new float[300][40];
        GradientClipperBuilder builder = GradientClipper.builder();
        for (int part = 3; part >= 0; part--) {
            for (float[] array : arrays) builder.add(HostBuffer.wrap(array, 10 * part, 10));
        }
        builder.build().close();
        builder.add("last", HostBuffer.wrap(arrays[123], 39, 1));
        String message = String.valueOf(
                assertThrows(IllegalArgumentException.class, builder::build).getMessage());
        assertTrue(message.contains("tensor 123 ") && message.contains("last"), message);
    }
}
