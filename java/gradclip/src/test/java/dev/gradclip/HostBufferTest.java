// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.internal.memory.HostMemory;
import java.lang.ref.WeakReference;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.DoubleBuffer;
import java.nio.FloatBuffer;
import java.nio.ShortBuffer;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Memory that is accepted, and memory that is refused with advice. */
class HostBufferTest {
    private static ByteBuffer little(int bytes) {
        return ByteBuffer.allocateDirect(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    private static void assertRefused(Executable call, String... reasons) {
        String message = String.valueOf(
                assertThrows(IllegalArgumentException.class, call).getMessage());
        for (String reason : reasons) assertTrue(message.contains(reason), message);
    }

    @Test
    void bigEndianIsRefused() {
        ByteBuffer big = ByteBuffer.allocateDirect(16);
        assertRefused(() -> HostBuffer.wrap(big, DType.FLOAT32), "big-endian");
        assertRefused(() -> HostBuffer.wrap(big.asFloatBuffer()), "big-endian");
        assertRefused(() -> HostBuffer.wrap(big.asDoubleBuffer()), "big-endian");
        assertRefused(() -> HostBuffer.wrap(big.asShortBuffer(), DType.FLOAT16), "big-endian");
        assertRefused(() -> HostBuffer.wrap(ByteBuffer.allocate(16), DType.FLOAT32), "big-endian");
    }

    @Test
    void hiddenHeapMemoryIsRefused() {
        assertRefused(() -> HostBuffer.wrap(FloatBuffer.wrap(new float[2]).asReadOnlyBuffer()), "hides its array");
        assertRefused(() -> HostBuffer.wrap(DoubleBuffer.wrap(new double[2]).asReadOnlyBuffer()), "hides its array");
        ShortBuffer shorts = ShortBuffer.wrap(new short[2]).asReadOnlyBuffer();
        assertRefused(() -> HostBuffer.wrap(shorts, DType.FLOAT16), "hides its array");
        ByteBuffer bytes = ByteBuffer.allocate(16).order(ByteOrder.LITTLE_ENDIAN);
        assertRefused(() -> HostBuffer.wrap(bytes.asFloatBuffer()), "hides its array");
        ByteBuffer readOnly = bytes.asReadOnlyBuffer().order(ByteOrder.LITTLE_ENDIAN);
        assertRefused(() -> HostBuffer.wrap(readOnly, DType.FLOAT32), "hides its array");
    }

    @Test
    void lengthsAndTypesAreChecked() {
        assertRefused(() -> HostBuffer.wrap(little(7), DType.FLOAT16), "7 bytes");
        assertRefused(() -> HostBuffer.wrap(new short[1], DType.FLOAT32), "FLOAT32");
        assertRefused(() -> HostBuffer.wrap(little(8).asShortBuffer(), DType.FLOAT64), "FLOAT64");
        assertRefused(() -> HostBuffer.allocate(DType.FLOAT32, -1), "-1");
        assertRefused(() -> HostBuffer.wrap(64, -1, DType.FLOAT32, null), "-1");
        assertRefused(() -> HostBuffer.wrap(0, 1, DType.FLOAT32, null), "address is 0");
        assertThrows(
                IllegalArgumentException.class, () -> HostBuffer.wrap(64, Long.MAX_VALUE / 4, DType.FLOAT64, null));
        assertThrows(IndexOutOfBoundsException.class, () -> HostBuffer.wrap(new float[4], 2, 3));
        assertThrows(IndexOutOfBoundsException.class, () -> HostBuffer.wrap(new double[4], -1, 3));
        assertThrows(IndexOutOfBoundsException.class, () -> HostBuffer.wrap(new short[4], 0, 5, DType.FLOAT16));
    }

    @Test
    void noRangeGoesBeyondTheAddressSpace() {
        for (DType dtype : DType.values()) {
            long beyond = Long.MAX_VALUE / dtype.bytes() + 1;
            assertRefused(() -> HostBuffer.allocate(dtype, beyond), String.valueOf(beyond), dtype.toString());
            assertRefused(() -> HostBuffer.allocate(dtype, Long.MAX_VALUE), dtype.toString());
        }
        long most = Long.MAX_VALUE / 4;
        assertRefused(() -> HostBuffer.wrap(4096, most, DType.FLOAT32, null), "0x1000", "beyond the address space");
        assertRefused(() -> HostBuffer.wrap(Long.MAX_VALUE - 8, most, DType.FLOAT32, null), "beyond");
        assertRefused(() -> HostBuffer.wrap(-8, 4, DType.FLOAT32, null), "beyond");
        assertRefused(() -> HostBuffer.wrap(-8, 2, DType.FLOAT32, null), "beyond");
        assertRefused(() -> HostBuffer.wrap(Long.MIN_VALUE, most + 1, DType.FLOAT32, null), "exceed");
        assertFalse(HostMemory.isBeyond(-8, 4));
        assertFalse(HostMemory.isBeyond(-8, 0));
        assertFalse(HostMemory.isBeyond(64, Long.MAX_VALUE - 64));
        assertEquals(0, HostBuffer.wrap(-1, 0, DType.FLOAT32, null).length());
    }

    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#all")
    @SuppressWarnings("NullAway") // what code without its checks may pass
    void whatCannotExistIsRefusedByName(TestBackend backend) {
        for (DType dtype : DType.values()) {
            long[] lengths = {Long.MAX_VALUE, Long.MAX_VALUE / dtype.bytes(), 1L << 45, 1L << 44};
            for (long length : lengths) {
                assertRefused(
                        () -> backend.builder()
                                .declare("first", DType.FLOAT32, 5)
                                .declare("w", dtype, length)
                                .build(),
                        "w");
            }
            GradientClipperBuilder both = backend.builder();
            assertRefused(
                    () -> both.declare("v", dtype, Long.MAX_VALUE / dtype.bytes())
                            .declare("u", dtype, Long.MAX_VALUE / dtype.bytes())
                            .build(),
                    "v");
            assertRefused(() -> backend.builder().declare("w", dtype, -1), "w", "-1");
        }
        // The sums take one plane of partial sums, and three as soon as one tensor is FLOAT64.
        GradientClipperBuilder mixed = backend.builder().declare("v", DType.FLOAT32, 1L << 38);
        if (!backend.onDevice()) {
            assertRefused(() -> mixed.declare("w", DType.FLOAT64, 1).build(), "w is beyond the 2 TiB", "682 GiB");
        }
        for (Executable call : List.<Executable>of(
                () -> backend.builder().add("w", (GradientBuffer) null),
                () -> backend.builder().declare("w", null, 1),
                () -> backend.builder().declare("w", DType.FLOAT32, 1).weights((GradientBuffer) null),
                () -> backend.builder().declare("w", DType.FLOAT32, 1).weights((DType) null))) {
            String message = String.valueOf(
                    assertThrows(NullPointerException.class, call).getMessage());
            assertTrue(message.contains("of w is null"), message);
        }
        assertThrows(NullPointerException.class, () -> backend.builder().declare(null, DType.FLOAT32, 1));
    }

    @Test
    void anAddressIsRefusedByNameWhenItComesLater() {
        try (GradientClipper clipper = GradientClipper.builder()
                .backend(Backend.JAVA)
                .declare("v", DType.FLOAT32, 4)
                .declare("w", DType.FLOAT32, 4)
                .build()) {
            assertRefused(() -> clipper.rebind(new long[] {0, -8}), "w ", "beyond the address space");
            assertRefused(() -> clipper.rebind(new long[] {Long.MAX_VALUE - 8, 0}), "v ");
            assertEquals(0, clipper.globalNorm());
        }
    }

    @Test
    @SuppressWarnings("NullAway") // what code without its checks may pass
    void piecesAreWholeTilesOfOneType() {
        HostBuffer tile = HostBuffer.wrap(new float[2048]);
        HostBuffer odd = HostBuffer.wrap(new float[2047]);
        assertRefused(() -> HostBuffer.ofPieces(), "at least one");
        String message = assertThrows(NullPointerException.class, () -> HostBuffer.ofPieces(tile, null))
                .getMessage();
        assertEquals("piece 1 is null", message);
        assertRefused(() -> HostBuffer.ofPieces(odd, tile), "2047");
        assertRefused(() -> HostBuffer.ofPieces(tile, odd, tile), "piece 1");
        assertRefused(() -> HostBuffer.ofPieces(tile, HostBuffer.wrap(new double[1024])), "FLOAT64");
        HostBuffer nested = HostBuffer.ofPieces(HostBuffer.ofPieces(tile, tile), odd);
        assertEquals(3 * 2048 - 1, nested.length());
        assertEquals(3, nested.memory().size());
        assertRefused(() -> HostBuffer.ofPieces(nested, tile), "piece 2");
    }

    @Test
    void allocatedMemoryIsZeroedAndWritable() {
        for (DType dtype : DType.values()) {
            HostBuffer buffer = HostBuffer.allocate(dtype, 1000);
            assertEquals(dtype, buffer.dtype());
            assertEquals(1000, buffer.length());
            assertFalse(buffer.isReadOnly());
            for (double x : Values.read(buffer)) assertEquals(0, x);
            assertEquals(0, HostBuffer.allocate(dtype, 0).length());
        }
        HostBuffer floats = HostBuffer.allocate(DType.FLOAT32, 2);
        FloatBuffer memory = (FloatBuffer) floats.memory().get(0);
        memory.put(0, 3).put(1, 4);
        try (GradientClipper clipper = GradientClipper.of(floats)) {
            assertEquals(5, clipper.globalNorm());
            clipper.clipByValue(1);
        }
        assertEquals(1, memory.get(1));
    }

    @Test
    void positionAndLimitAreHeededAndKept() {
        ByteBuffer bytes = little(40);
        for (int i = 0; i < 10; i++) bytes.putFloat(4 * i, 1);
        bytes.position(4).limit(20);
        HostBuffer buffer = HostBuffer.wrap(bytes, DType.FLOAT32);
        FloatBuffer floats = bytes.clear().order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer();
        floats.position(5).limit(9);
        DoubleBuffer doubles = DoubleBuffer.wrap(new double[] {9, 1, 9}, 1, 1);
        ShortBuffer shorts = ShortBuffer.wrap(new short[] {0, 0x3c00, 0}, 1, 1);
        assertEquals(4, buffer.length());
        try (GradientClipper clipper = GradientClipper.of(
                buffer, HostBuffer.wrap(floats), HostBuffer.wrap(doubles), HostBuffer.wrap(shorts, DType.FLOAT16))) {
            assertEquals(10, clipper.globalNorm(NormType.L1));
        }
        assertEquals(5, floats.position());
        assertEquals(List.of(1, 2), List.of(doubles.position(), doubles.limit()));
    }

    @Test
    void anAddressHasNoView() {
        HostBuffer empty = HostBuffer.wrap(0, 0, DType.FLOAT32, null);
        assertThrows(IllegalStateException.class, empty::memory);
        try (GradientClipper clipper = GradientClipper.of(empty)) {
            assertEquals(0, clipper.globalNorm());
        }
    }

    @Test
    void theOwnerOfAByteBuffersMemoryStaysReachable() {
        List<HostBuffer> kept = new ArrayList<>();
        WeakReference<Object> owner = wrapOwned(kept);
        for (int i = 0; i < 5; i++) System.gc();
        assertNotNull(owner.get());
        assertEquals(4, kept.get(0).length());
    }

    private static WeakReference<Object> wrapOwned(List<HostBuffer> into) {
        Object owner = new Object();
        into.add(HostBuffer.wrap(little(16), DType.FLOAT32, owner));
        return new WeakReference<>(owner);
    }
}
