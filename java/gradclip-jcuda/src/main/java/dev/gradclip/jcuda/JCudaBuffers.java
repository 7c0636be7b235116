// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.jcuda;

import dev.gradclip.DType;
import dev.gradclip.DeviceBuffer;
import jcuda.Pointer;

/**
 * Device memory from one library to the other, without a copy. JCuda keeps the handle of a {@code cudaStream_t} to
 * itself:
 * give {@link dev.gradclip.CudaStream#of} the number that made it, or a stream of {@link
 * dev.gradclip.CudaStream#create}.
 *
 * <pre>{@code
 * Pointer gradient = new Pointer();
 * JCuda.cudaMalloc(gradient, 4L * 1024);
 * try (GradientClipper clipper = GradientClipper.of(JCudaBuffers.wrap(gradient, 1024, DType.FLOAT32))) {
 *     clipper.clipByGlobalNorm(1.0);
 * }
 * }</pre>
 */
public final class JCudaBuffers {
    private JCudaBuffers() {}

    /**
     * The elements at a pointer, its byte offset included. The pointer stays reachable; its memory is the caller's to
     * free.
     *
     * @throws IllegalArgumentException if it points to host memory, or to nothing, or not to a multiple of the element
     *     size
     * @throws dev.gradclip.BackendUnavailableException if there is no CUDA device
     */
    public static DeviceBuffer wrap(Pointer pointer, long length, DType dtype) {
        Address address = new Address(pointer);
        if (length > 0 && !address.isNative()) {
            throw new IllegalArgumentException(pointer + " is not the address of device memory; "
                    + "cudaMalloc gives one, and Pointer.to makes one of host memory, which HostBuffer wraps");
        }
        return DeviceBuffer.wrap(address.bytes(), length, dtype, pointer);
    }

    /** A pointer to a buffer's first element, for JCuda and JCublas; valid while the buffer is open and reachable. */
    public static Pointer pointer(DeviceBuffer buffer) {
        return new Address(buffer);
    }

    /** Reads what {@link Pointer} shows to subclasses alone. */
    private static final class Address extends Pointer {
        private final Object owner;

        Address(Pointer pointer) {
            super(pointer);
            owner = pointer;
        }

        Address(DeviceBuffer buffer) {
            super(buffer.address());
            owner = buffer;
        }

        boolean isNative() {
            return getNativePointer() != 0;
        }

        long bytes() {
            return getNativePointer() + getByteOffset();
        }

        @Override
        public boolean equals(Object other) {
            return super.equals(other);
        }

        @Override
        public int hashCode() {
            return super.hashCode();
        }

        @Override
        public String toString() {
            return super.toString() + " of " + owner;
        }
    }
}
