// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.jcuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.gradclip.Backend;
import dev.gradclip.DType;
import dev.gradclip.DeviceBuffer;
import dev.gradclip.GradientClipper;
import jcuda.Pointer;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Pointers to buffers and back; on a device, or on the one that tests emulate. */
class JCudaBuffersTest {
    @BeforeEach
    void device() {
        assumeTrue(Backend.CUDA.isAvailable(), Backend.CUDA::reason);
    }

    @Test
    void aPointerAndABufferNameTheSameMemory() {
        try (DeviceBuffer buffer = DeviceBuffer.allocate(DType.FLOAT32, 4)) {
            Pointer pointer = JCudaBuffers.pointer(buffer);
            DeviceBuffer again = JCudaBuffers.wrap(pointer, 4, DType.FLOAT32);
            assertEquals(buffer.address(), again.address());
            assertEquals(4, again.length());
            assertEquals(DType.FLOAT32, again.dtype());
        }
    }

    @Test
    void whatAPointerNamesIsClipped() {
        try (DeviceBuffer buffer = DeviceBuffer.allocate(DType.FLOAT32, 4)) {
            buffer.copyFrom(new float[] {9, 3, 4, 9});
            DeviceBuffer middle = JCudaBuffers.wrap(JCudaBuffers.pointer(buffer).withByteOffset(4), 2, DType.FLOAT32);
            try (GradientClipper clipper = GradientClipper.of(middle)) {
                assertEquals(5, clipper.clipByGlobalNorm(2.5).globalNorm());
            }
            float[] found = new float[4];
            buffer.copyTo(found);
            assertArrayEquals(new float[] {9, 1.5f, 2, 9}, found, 1e-6f);
        }
    }

    @Test
    void hostMemoryIsRefused() {
        Pointer host = Pointer.to(new float[4]);
        assertThrows(IllegalArgumentException.class, () -> JCudaBuffers.wrap(host, 4, DType.FLOAT32));
    }

    @Test
    void aPointerToNothingIsRefused() {
        assertThrows(IllegalArgumentException.class, () -> JCudaBuffers.wrap(new Pointer(), 4, DType.FLOAT32));
    }

    @Test
    void anEmptyTensorNeedsNoMemory() {
        assertEquals(0, JCudaBuffers.wrap(new Pointer(), 0, DType.FLOAT32).length());
    }
}
