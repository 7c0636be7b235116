// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.gradclip.internal.jni.EmulatedCuda;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** Device memory: owned and borrowed, filled and read back, refused with advice. */
class DeviceBufferTest {
    @BeforeEach
    void needsADevice() {
        assumeTrue(EmulatedCuda.hasDevice(), "there is no device, and the emulated one is not built");
        EmulatedCuda.reset(1);
    }

    private static void assertRefused(Executable call, String reason) {
        String message = String.valueOf(
                assertThrows(IllegalArgumentException.class, call).getMessage());
        assertTrue(message.contains(reason), message);
    }

    private static void assertClosed(Executable call) {
        String message =
                String.valueOf(assertThrows(IllegalStateException.class, call).getMessage());
        assertTrue(message.contains("closed"), message);
    }

    @Test
    void allocatedMemoryIsZeroed() {
        for (DType dtype : DType.values()) {
            for (int n : new int[] {0, 1, 1000, 70_001}) {
                try (DeviceBuffer buffer = DeviceBuffer.allocate(dtype, n)) {
                    assertEquals(dtype, buffer.dtype());
                    assertEquals(n, buffer.length());
                    assertEquals(0, buffer.device());
                    HostBuffer host = Values.buffer(dtype, Values.constant(n, 1));
                    buffer.copyTo(host);
                    for (double x : Values.read(host)) assertEquals(0, x);
                }
            }
        }
    }

    @Test
    void everyKindOfHostMemoryComesAndGoes() {
        for (DType dtype : DType.values()) {
            // The last length is more than passes through staging memory at once.
            for (int n : new int[] {0, 1, 13, 4099, 700_001}) {
                double[] values = Values.normal(n, n, 1);
                for (Values.Memory memory : Values.Memory.values()) {
                    HostBuffer from = Values.buffer(dtype, values, memory);
                    HostBuffer to = Values.buffer(dtype, new double[n], memory);
                    try (DeviceBuffer buffer = DeviceBuffer.allocate(dtype, n)) {
                        buffer.copyFrom(from);
                        buffer.copyTo(to);
                    }
                    assertArrayEquals(Values.bits(from), Values.bits(to), () -> dtype + " " + n + " " + memory);
                }
            }
        }
    }

    @Test
    void piecesAreOneAfterTheOther() {
        float[] a = new float[4096];
        Arrays.fill(a, 3);
        double[] tail = {1, 2, 3};
        HostBuffer from =
                HostBuffer.ofPieces(HostBuffer.wrap(a), Values.buffer(DType.FLOAT32, tail, Values.Memory.UNALIGNED));
        try (DeviceBuffer buffer = DeviceBuffer.allocate(DType.FLOAT32, 4099)) {
            buffer.copyFrom(from);
            float[] all = new float[4099];
            buffer.copyTo(all);
            assertEquals(3, all[4095]);
            assertArrayEquals(new float[] {1, 2, 3}, Arrays.copyOfRange(all, 4096, 4099));
            buffer.copyFrom(new float[4099]);
            buffer.copyTo(from);
            for (double x : Values.read(from)) assertEquals(0, x);
        }
    }

    @Test
    void arraysOfEachType() {
        double[] doubles = {1, 2, 0.1};
        short[] halves = {1, 2, 3};
        try (DeviceBuffer a = DeviceBuffer.allocate(DType.FLOAT64, 3);
                DeviceBuffer b = DeviceBuffer.allocate(DType.BFLOAT16, 3)) {
            a.copyFrom(doubles);
            b.copyFrom(halves);
            double[] doublesNow = new double[3];
            short[] halvesNow = new short[3];
            a.copyTo(doublesNow);
            b.copyTo(halvesNow);
            assertArrayEquals(doubles, doublesNow);
            assertArrayEquals(halves, halvesNow);
        }
    }

    @Test
    void copiesOnAStreamComeAfterItsWork() {
        try (CudaStream stream = CudaStream.create();
                DeviceBuffer buffer = DeviceBuffer.allocate(DType.FLOAT32, 2);
                GradientClipper clipper = GradientClipper.of(buffer)) {
            buffer.copyFrom(HostBuffer.wrap(new float[] {30, 40}), stream);
            clipper.clipAsync(ClipRule.globalNorm(5).withEpsilon(0), stream);
            float[] now = new float[2];
            buffer.copyTo(HostBuffer.wrap(now), stream);
            assertArrayEquals(new float[] {3, 4}, now);
        }
    }

    @Test
    void anAddressIsWrapped() {
        try (DeviceBuffer memory = DeviceBuffer.allocate(DType.FLOAT32, 10)) {
            memory.copyFrom(new float[] {0, 0, 0, 3, 4, 0, 0, 0, 0, 0});
            DeviceBuffer part = DeviceBuffer.wrap(memory.address() + 12, 2, DType.FLOAT32, memory);
            assertEquals(memory.address() + 12, part.address());
            assertEquals(memory.device(), part.device());
            try (GradientClipper clipper = GradientClipper.of(part)) {
                assertEquals(Backend.CUDA, clipper.backend());
                assertEquals(5, clipper.globalNorm());
            }
            assertTrue(part.toString().contains("kept by"), part::toString);
            part.close();
            float[] still = new float[10];
            memory.copyTo(still);
            assertEquals(4, still[4]);
        }
        assertEquals(0, DeviceBuffer.wrap(0, 0, DType.FLOAT32, null).address());
    }

    @Test
    void whatIsNoDeviceMemoryIsRefused() {
        assertRefused(() -> DeviceBuffer.allocate(DType.FLOAT32, -1), "-1");
        assertRefused(() -> DeviceBuffer.wrap(64, -1, DType.FLOAT32, null), "-1");
        assertRefused(() -> DeviceBuffer.wrap(0, 1, DType.FLOAT32, null), "not in the memory of a CUDA device");
        assertRefused(() -> DeviceBuffer.wrap(64, Long.MAX_VALUE / 4, DType.FLOAT64, null), "address space");
        assertRefused(() -> DeviceBuffer.allocate(DType.FLOAT64, Long.MAX_VALUE / 4), "address space");
        ByteBuffer host = ByteBuffer.allocateDirect(64);
        long address = EmulatedCuda.address(host);
        assertRefused(() -> DeviceBuffer.wrap(address, 1, DType.FLOAT32, host), "HostBuffer");
        try (DeviceBuffer memory = DeviceBuffer.allocate(DType.FLOAT32, 10)) {
            assertRefused(
                    () -> DeviceBuffer.wrap(memory.address() + 2, 1, DType.FLOAT32, memory), "not a multiple of 4");
            DeviceBuffer.wrap(memory.address() + 2, 1, DType.FLOAT16, memory);
        }
    }

    @Test
    void copiesOfAnotherShapeAreRefused() {
        ByteBuffer bytes = ByteBuffer.allocateDirect(12).order(ByteOrder.LITTLE_ENDIAN);
        HostBuffer readOnly = HostBuffer.wrap(bytes.asReadOnlyBuffer().order(ByteOrder.LITTLE_ENDIAN), DType.FLOAT32);
        try (DeviceBuffer buffer = DeviceBuffer.allocate(DType.FLOAT32, 3)) {
            assertRefused(() -> buffer.copyFrom(new float[4]), "4");
            assertRefused(() -> buffer.copyTo(new float[2]), "2");
            assertRefused(() -> buffer.copyFrom(new double[3]), "FLOAT64");
            assertRefused(() -> buffer.copyFrom(new short[3]), "FLOAT32");
            assertRefused(() -> buffer.copyTo(readOnly), "read-only");
            buffer.copyFrom(readOnly);
        }
    }

    @Test
    void moreThanThereIsIsSaid() {
        CudaException e = assertThrows(CudaException.class, () -> DeviceBuffer.allocate(DType.FLOAT64, 1L << 50));
        assertEquals(CudaException.OUT_OF_MEMORY, e.code());
        String message = String.valueOf(e.getMessage());
        assertTrue(message.contains("cudaErrorMemoryAllocation") && message.contains("Free device memory"), message);
        try (DeviceBuffer buffer = DeviceBuffer.allocate(DType.FLOAT64, 1)) {
            assertEquals(1, buffer.length());
        }
    }

    @Test
    void closedTwiceAndUsedAfterwards() {
        DeviceBuffer buffer = DeviceBuffer.allocate(DType.FLOAT32, 2);
        buffer.close();
        buffer.close();
        assertEquals(2, buffer.length());
        assertClosed(buffer::address);
        assertClosed(() -> buffer.copyFrom(new float[2]));
        assertClosed(() -> buffer.copyTo(new float[2]));
        assertClosed(() -> GradientClipper.of(buffer));
    }

    @Test
    void memoryStaysWhileAClipperIsBoundToIt() {
        DeviceBuffer buffer = DeviceBuffer.allocate(DType.FLOAT32, 2);
        buffer.copyFrom(new float[] {3, 4});
        long address = buffer.address();
        GradientClipper clipper = GradientClipper.of(buffer);
        buffer.close();
        assertEquals(5, clipper.globalNorm());
        clipper.close();
        assertEquals(-1, EmulatedCuda.deviceOf(address));
        DeviceBuffer first = DeviceBuffer.allocate(DType.FLOAT32, 2);
        long firstAddress = first.address();
        try (DeviceBuffer second = DeviceBuffer.allocate(DType.FLOAT32, 2);
                GradientClipper other = GradientClipper.of(first)) {
            first.close();
            assertEquals(0, EmulatedCuda.deviceOf(firstAddress));
            other.rebind(new long[] {second.address()});
            assertEquals(-1, EmulatedCuda.deviceOf(firstAddress));
        }
    }

    @Test
    void memoryStaysUntilTheLastOfTwoClippersLetsGo() {
        DeviceBuffer buffer = DeviceBuffer.allocate(DType.FLOAT32, 2);
        buffer.copyFrom(new float[] {3, 4});
        long address = buffer.address();
        GradientClipper first = GradientClipper.of(buffer);
        try (GradientClipper second = GradientClipper.of(buffer)) {
            buffer.close();
            assertEquals(0, EmulatedCuda.deviceOf(address));
            first.close();
            assertEquals(0, EmulatedCuda.deviceOf(address), "the second clipper still works there");
            assertEquals(5, second.globalNorm());
        }
        assertEquals(-1, EmulatedCuda.deviceOf(address));
    }

    /** Closing a buffer after a refusal frees its memory at once, because nothing holds it any more. */
    @Test
    void whatIsRefusedHoldsNoMemory() {
        try (GradientClipper clipper = GradientClipper.builder()
                .backend(Backend.CUDA)
                .declare("a", DType.FLOAT32, 2)
                .declare("b", DType.FLOAT32, 2)
                .build()) {
            assertLetGo(buffer -> assertRefused(() -> clipper.rebind(List.of(buffer, twin(buffer))), "share memory"));
            DeviceBuffer closed = DeviceBuffer.allocate(DType.FLOAT32, 2);
            closed.close();
            assertLetGo(buffer -> assertClosed(() -> clipper.rebind(List.of(buffer, closed))));
            assertLetGo(buffer -> assertRefused(() -> clipper.rebind(List.of(buffer, threeOf(buffer))), "3"));
        }
        assertLetGo(buffer -> assertRefused(() -> GradientClipper.of(buffer, twin(buffer)), "share memory"));
    }

    private static DeviceBuffer twin(DeviceBuffer buffer) {
        return DeviceBuffer.wrap(buffer.address(), 2, DType.FLOAT32, null);
    }

    private static DeviceBuffer threeOf(DeviceBuffer buffer) {
        return DeviceBuffer.wrap(buffer.address(), 3, DType.FLOAT32, null);
    }

    private static void assertLetGo(Consumer<DeviceBuffer> refusal) {
        DeviceBuffer buffer = DeviceBuffer.allocate(DType.FLOAT32, 2);
        long address = buffer.address();
        refusal.accept(buffer);
        assertEquals(0, EmulatedCuda.deviceOf(address));
        buffer.close();
        assertEquals(-1, EmulatedCuda.deviceOf(address));
    }

    @Test
    void aStreamIsClosedOnce() {
        CudaStream stream = CudaStream.create();
        stream.synchronize();
        stream.close();
        stream.close();
        assertClosed(stream::handle);
        assertClosed(stream::synchronize);
        CudaStream.DEFAULT.synchronize();
        assertEquals(0, CudaStream.DEFAULT.handle());
        assertEquals(77, CudaStream.of(77).handle());
    }
}
