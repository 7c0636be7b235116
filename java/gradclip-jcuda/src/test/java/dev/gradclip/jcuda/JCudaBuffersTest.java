// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.jcuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.gradclip.Backend;
import dev.gradclip.ClipResult;
import dev.gradclip.ClipRule;
import dev.gradclip.DType;
import dev.gradclip.DeviceBuffer;
import dev.gradclip.GradientBuffer;
import dev.gradclip.GradientClipper;
import dev.gradclip.HostBuffer;
import dev.gradclip.Update;
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

    /** Steps on pointers leave the bits that steps on arrays leave, and nothing beside the weights. */
    @Test
    void whatPointersNameIsUpdated() {
        float[] gradients = {9, 3, 4, 9};
        float[] weights = {7, 1, -2, 7};
        try (DeviceBuffer g = DeviceBuffer.allocate(DType.FLOAT32, 4);
                DeviceBuffer w = DeviceBuffer.allocate(DType.FLOAT32, 4)) {
            g.copyFrom(gradients);
            w.copyFrom(weights);
            float[] expected = {1, -2};
            GradientBuffer middle = JCudaBuffers.wrap(JCudaBuffers.pointer(g).withByteOffset(4), 2, DType.FLOAT32);
            GradientBuffer middleWeights =
                    JCudaBuffers.wrap(JCudaBuffers.pointer(w).withByteOffset(4), 2, DType.FLOAT32);
            try (GradientClipper onDevice = clipper(middle, middleWeights);
                    GradientClipper onArrays =
                            clipper(HostBuffer.wrap(new float[] {3, 4}), HostBuffer.wrap(expected))) {
                for (int step = 0; step < 3; step++) {
                    ClipResult result = onDevice.step(Update.adamW(0.1), ClipRule.globalNorm(2.5));
                    assertEquals(5, result.globalNorm());
                    assertTrue(result.clipped());
                    onArrays.step(Update.adamW(0.1), ClipRule.globalNorm(2.5));
                }
            }
            float[] found = new float[4];
            w.copyTo(found);
            assertArrayEquals(new float[] {7, expected[0], expected[1], 7}, found);
            assertTrue(found[1] < 1 && found[2] < -2);
            g.copyTo(found);
            assertArrayEquals(gradients, found);
        }
    }

    private static GradientClipper clipper(GradientBuffer gradient, GradientBuffer weights) {
        return GradientClipper.builder().add("w", gradient).weights(weights).build();
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
