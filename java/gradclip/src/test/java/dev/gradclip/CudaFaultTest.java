// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.gradclip.internal.jni.EmulatedCuda;
import java.nio.ByteBuffer;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.function.Executable;

/** Memory that is not as declared: binding it is refused by name, and a fault at work is reported and remembered. */
@Timeout(60)
class CudaFaultTest {
    private static final int ILLEGAL_ADDRESS = 700;

    @BeforeEach
    void needsTheEmulator() {
        assumeTrue(EmulatedCuda.isLoaded(), "the emulated device is not built");
        EmulatedCuda.reset(1);
    }

    /** Resets the device to the state in which a new process finds it. */
    @AfterEach
    void recover() {
        if (EmulatedCuda.isLoaded()) EmulatedCuda.reset(1);
    }

    private static void assertRefused(Executable call, String... named) {
        String message = String.valueOf(
                assertThrows(IllegalArgumentException.class, call).getMessage());
        for (String name : named) assertTrue(message.contains(name), message);
    }

    private static void assertStopped(Executable call) {
        String message =
                String.valueOf(assertThrows(IllegalStateException.class, call).getMessage());
        assertTrue(message.contains("stopped working") && message.contains("cudaErrorIllegalAddress"), message);
    }

    private static DeviceBuffer wrap(long address, long length) {
        return DeviceBuffer.wrap(address, length, DType.FLOAT32, null);
    }

    @Test
    void memoryFreedBehindTheClippersBack() {
        long address = EmulatedCuda.allocate(4000);
        GradientClipper clipper = GradientClipper.of(wrap(address, 1000));
        assertEquals(0, clipper.globalNorm());
        EmulatedCuda.free(address);
        CudaFatalException e = assertThrows(CudaFatalException.class, clipper::globalNorm);
        assertEquals(ILLEGAL_ADDRESS, e.code());
        String message = String.valueOf(e.getMessage());
        assertTrue(message.contains("cudaErrorIllegalAddress") && message.contains("restart"), message);
        for (Executable call : List.<Executable>of(
                clipper::globalNorm,
                () -> clipper.clipByGlobalNorm(1),
                () -> clipper.clipByValueAsync(1, CudaStream.DEFAULT),
                () -> clipper.clipWithNorm(1, 2),
                clipper::coefficientAddress,
                () -> clipper.rebind(new long[] {0}))) {
            assertStopped(call);
        }
        assertThrows(CudaFatalException.class, () -> DeviceBuffer.allocate(DType.FLOAT32, 1));
        clipper.close();
        clipper.close();
        EmulatedCuda.reset(1);
        try (DeviceBuffer buffer = DeviceBuffer.allocate(DType.FLOAT32, 2);
                GradientClipper other = GradientClipper.of(buffer)) {
            buffer.copyFrom(new float[] {3, 4});
            assertEquals(5, other.globalNorm());
        }
    }

    /** A lost device does not know its memory any more, which is not the fault of the tensors. */
    @Test
    void afterAFaultNoTensorIsBlamed() {
        DeviceBuffer sound = DeviceBuffer.allocate(DType.FLOAT32, 4);
        GradientClipper other = GradientClipper.builder()
                .backend(Backend.CUDA)
                .declare("w", DType.FLOAT32, 4)
                .build();
        long address = EmulatedCuda.allocate(4000);
        GradientClipper clipper = GradientClipper.of(wrap(address, 1000));
        EmulatedCuda.free(address);
        assertThrows(CudaFatalException.class, clipper::globalNorm);
        for (Executable call : List.<Executable>of(
                () -> GradientClipper.builder().add("w", sound).build(),
                () -> wrap(sound.address(), 4),
                () -> other.rebind(new long[] {sound.address()}))) {
            CudaFatalException e = assertThrows(CudaFatalException.class, call);
            assertEquals(ILLEGAL_ADDRESS, e.code());
        }
        assertStopped(other::globalNorm);
        other.close();
        clipper.close();
        sound.close();
    }

    @Test
    void theGetterOfAnAsyncClipTellsTheFault() {
        long address = EmulatedCuda.allocate(4000);
        GradientClipper clipper = GradientClipper.of(wrap(address, 1000));
        EmulatedCuda.free(address);
        ClipResult result = clipper.clipByGlobalNormAsync(1, CudaStream.DEFAULT);
        assertEquals(1000, result.elements());
        CudaFatalException e = assertThrows(CudaFatalException.class, result::globalNorm);
        assertEquals(ILLEGAL_ADDRESS, e.code());
        assertStopped(result::globalNorm);
        assertStopped(clipper::globalNorm);
        clipper.close();
    }

    @Test
    void closingTellsAFaultThatNobodyHasSeen() {
        long address = EmulatedCuda.allocate(4000);
        GradientClipper clipper = GradientClipper.of(wrap(address, 1000));
        EmulatedCuda.free(address);
        clipper.clipByGlobalNormAsync(1, CudaStream.DEFAULT);
        assertThrows(CudaFatalException.class, clipper::close);
        clipper.close();
    }

    @Test
    void aRangeBeyondItsAllocation() {
        long address = EmulatedCuda.allocate(4000);
        try {
            assertRefused(
                    () -> GradientClipper.builder()
                            .add("w", wrap(address, 1001))
                            .build(),
                    "w ");
            assertRefused(
                    () -> GradientClipper.builder()
                            .add("w", wrap(address + 3000, 251))
                            .build(),
                    "w ");
            GradientClipper.of(wrap(address + 3000, 250)).close();
            try (GradientClipper clipper = GradientClipper.builder()
                    .backend(Backend.CUDA)
                    .declare("w", DType.FLOAT32, 500)
                    .build()) {
                clipper.rebind(new long[] {address + 2000});
                assertRefused(() -> clipper.rebind(new long[] {address + 2004}), "w ");
                assertEquals(0, clipper.globalNorm(), "still bound to what was there");
            }
        } finally {
            EmulatedCuda.free(address);
        }
    }

    @Test
    void hostMemoryAndNoMemoryAtAll() {
        ByteBuffer host = ByteBuffer.allocateDirect(64);
        long hostAddress = EmulatedCuda.address(host);
        long freed = EmulatedCuda.allocate(64);
        EmulatedCuda.free(freed);
        try (DeviceBuffer a = DeviceBuffer.allocate(DType.FLOAT32, 2);
                DeviceBuffer b = DeviceBuffer.allocate(DType.FLOAT32, 2);
                GradientClipper clipper =
                        GradientClipper.builder().add("a", a).add("b", b).build()) {
            a.copyFrom(new float[] {3, 4});
            b.copyFrom(new float[] {0, 12});
            for (long bad : new long[] {hostAddress, freed, 64, a.address() + 2}) {
                assertRefused(() -> clipper.rebind(new long[] {a.address(), bad}), "b ");
                assertRefused(() -> clipper.rebind(new long[] {bad, b.address()}), "a ");
            }
            assertEquals(13, clipper.globalNorm());
            clipper.rebind(new long[] {a.address(), 0});
            assertEquals(5, clipper.globalNorm());
        }
        assertEquals(64, host.capacity());
    }

    @Test
    void memoryBoundTwice() {
        try (DeviceBuffer memory = DeviceBuffer.allocate(DType.FLOAT32, 100)) {
            long at = memory.address();
            assertRefused(
                    () -> GradientClipper.builder()
                            .add("first", wrap(at, 51))
                            .declare("between", DType.FLOAT32, 4)
                            .add("second", wrap(at + 200, 50))
                            .build(),
                    "first",
                    "second",
                    "share memory");
            try (GradientClipper clipper = GradientClipper.builder()
                    .add("first", wrap(at, 50))
                    .add("second", wrap(at + 200, 50))
                    .add("empty", wrap(at + 20, 0))
                    .build()) {
                memory.copyFrom(Values.buffer(DType.FLOAT32, Values.constant(100, 1)));
                assertEquals(10, clipper.globalNorm());
                assertRefused(() -> clipper.rebind(new long[] {at + 4, at + 200, 0}), "first", "second");
                assertRefused(() -> clipper.rebind(new long[] {at, at, 0}), "first", "second");
                assertEquals(10, clipper.globalNorm());
                clipper.rebind(new long[] {at + 200, at, 0});
                assertEquals(10, clipper.globalNorm());
            }
        }
    }

    @Test
    void anotherDevicesMemory() {
        assumeTrue(EmulatedCuda.devices() > 1, "one device only");
        try (DeviceBuffer here = DeviceBuffer.allocate(0, DType.FLOAT32, 2);
                DeviceBuffer there = DeviceBuffer.allocate(1, DType.FLOAT32, 2)) {
            assertEquals(1, there.device());
            there.copyFrom(new float[] {3, 4});
            assertRefused(
                    () -> GradientClipper.builder()
                            .add("here", here)
                            .add("there", there)
                            .build(),
                    "there",
                    "device 1",
                    "device 0");
            try (GradientClipper clipper =
                    GradientClipper.builder().add("here", here).build()) {
                assertRefused(() -> clipper.rebind(List.of(there)), "here", "device 1");
                assertRefused(() -> clipper.rebind(new long[] {there.address()}), "here ");
                assertEquals(0, clipper.globalNorm());
            }
            try (CudaStream stream = CudaStream.create(1);
                    GradientClipper clipper = GradientClipper.of(there)) {
                assertEquals(5, clipper.clipByGlobalNormAsync(1, stream).globalNorm());
                stream.synchronize();
            }
            float[] now = new float[2];
            there.copyTo(now);
            assertArrayEquals(new float[] {0.6f, 0.8f}, now, 1e-6f);
        }
    }

    @Test
    void aDeviceThatIsNotThere() {
        CudaException e = assertThrows(CudaException.class, () -> DeviceBuffer.allocate(99, DType.FLOAT32, 1));
        assertTrue(String.valueOf(e.getMessage()).contains("Invalid"), e::getMessage);
        assertThrows(CudaException.class, () -> CudaStream.create(-2));
        try (DeviceBuffer buffer = DeviceBuffer.allocate(DType.FLOAT32, 1)) {
            assertEquals(0, buffer.device(), "the thread's device is what it was");
        }
    }
}
