// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.gradclip.internal.jni.EmulatedCuda;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** The side of the buffers picks the backend, and nothing is copied to another side silently. */
class CudaSidesTest {
    @BeforeEach
    void needsADevice() {
        assumeTrue(EmulatedCuda.hasDevice(), "there is no device, and the emulated one is not built");
        EmulatedCuda.reset(2);
    }

    private static void assertRefused(Executable call, String... named) {
        String message = String.valueOf(
                assertThrows(IllegalArgumentException.class, call).getMessage());
        for (String name : named) assertTrue(message.contains(name), message);
    }

    private static GradientClipperBuilder named(String name, GradientBuffer buffer) {
        return GradientClipper.builder().add(name, buffer);
    }

    @Test
    void mixedSidesAreRefusedByName() {
        HostBuffer host = HostBuffer.wrap(new float[2]);
        try (DeviceBuffer device = DeviceBuffer.allocate(DType.FLOAT32, 2)) {
            for (Backend chosen : Backend.values()) {
                assertRefused(() -> named("h", host).add("d", device).build(), "h is in host", "d is in device");
                assertRefused(
                        () -> named("d", device).add("h", host).backend(chosen).build(), "h is in host", "copyFrom");
            }
        }
    }

    @Test
    void anotherBackendThanTheBuffersIsRefusedWithAdvice() {
        HostBuffer host = HostBuffer.wrap(new float[2]);
        assertRefused(() -> named("h", host).backend(Backend.CUDA).build(), "h is in host", "CUDA", "copyFrom");
        try (DeviceBuffer device = DeviceBuffer.allocate(DType.FLOAT32, 2)) {
            for (Backend cpu : List.of(Backend.JAVA, Backend.preferred())) {
                assertRefused(() -> named("d", device).backend(cpu).build(), "d is in device", cpu.name(), "copyTo");
            }
            try (GradientClipper clipper =
                    named("d", device).backend(Backend.CUDA).build()) {
                assertEquals(Backend.CUDA, clipper.backend());
            }
        }
    }

    @Test
    void aTensorDoesNotChangeSidesLater() {
        HostBuffer host = HostBuffer.wrap(new float[2]);
        try (DeviceBuffer device = DeviceBuffer.allocate(DType.FLOAT32, 2);
                GradientClipper onDevice = named("d", device).build();
                GradientClipper onHost = named("h", host).build()) {
            device.copyFrom(new float[] {3, 4});
            assertRefused(() -> onDevice.rebind(List.of(host)), "d is now in host");
            assertRefused(() -> onDevice.rebind(new float[2]), "d is now in host");
            assertRefused(() -> onHost.rebind(List.of(device)), "h is now in device");
            assertEquals(5, onDevice.globalNorm());
            assertEquals(0, onHost.globalNorm());
        }
    }

    @Test
    void declaredTensorsWaitForDeviceMemory() {
        try (DeviceBuffer memory = DeviceBuffer.allocate(DType.FLOAT32, 5000);
                GradientClipper clipper = GradientClipper.builder()
                        .backend(Backend.CUDA)
                        .declare("a", DType.FLOAT32, 3)
                        .declare("b", DType.FLOAT32, 4100)
                        .build()) {
            memory.copyFrom(Values.buffer(DType.FLOAT32, Values.constant(5000, 1)));
            assertEquals(0, clipper.globalNorm());
            long at = memory.address();
            clipper.rebind(new long[] {0, at + 12});
            assertEquals(Math.sqrt(4100), clipper.globalNorm(), 1e-4);
            ClipResult result = clipper.clipPerTensorNorm(Double.POSITIVE_INFINITY);
            assertEquals(1, result.tensors());
            assertEquals(4100, result.elements());
            assertEquals(0, result.tensorNorm(0));
            clipper.rebind(new long[] {at, at + 12});
            assertEquals(4103, clipper.globalNorm(NormType.L1));
            assertEquals(2, clipper.clipByGlobalNorm(1e9).tensors());
            clipper.rebind(new float[2][]);
            assertEquals(0, clipper.clipByGlobalNorm(1).tensors());
            DeviceBuffer part = DeviceBuffer.wrap(at + 400, 3, DType.FLOAT32, memory);
            clipper.rebind(Arrays.asList(part, null));
            assertEquals(3, clipper.globalNorm(NormType.L1));
            assertRefused(() -> clipper.rebind(Arrays.asList(null, part)), "b was bound with 4100");
            assertRefused(() -> clipper.rebind(new long[1]), "2", "1");
            assertEquals(3, clipper.globalNorm(NormType.L1));
        }
    }
}
