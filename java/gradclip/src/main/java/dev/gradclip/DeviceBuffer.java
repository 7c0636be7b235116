// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import dev.gradclip.internal.cuda.DeviceCopy;
import dev.gradclip.internal.jni.NativeCuda;
import dev.gradclip.internal.memory.DeviceMemory;
import dev.gradclip.internal.memory.HostMemory;
import org.jspecify.annotations.Nullable;

/**
 * A gradient tensor in the memory of a CUDA device. A clipper that is bound to it works on that device; nothing passes
 * through the host.
 *
 * <p>{@code wrap} borrows memory and keeps its owner reachable for as long as this object is; {@code allocate} owns
 * memory until the buffer is closed. Memory of a closed buffer that a clipper is bound to is freed once the clipper is
 * closed or bound to other memory.
 *
 * <pre>{@code
 * DeviceBuffer gradient = DeviceBuffer.wrap(tensor.data_ptr().address(), tensor.numel(), DType.BFLOAT16, tensor);
 * try (GradientClipper clipper = GradientClipper.of(gradient)) {
 *     clipper.clipByGlobalNormAsync(1.0, CudaStream.of(stream));
 * }
 * }</pre>
 */
public final class DeviceBuffer implements GradientBuffer, AutoCloseable {
    final DeviceMemory deviceMemory;

    private DeviceBuffer(DType dtype, long length, int device, long address, @Nullable Object owner, boolean owned) {
        Runnable free = () -> NativeCuda.unlessLost(() -> NativeCuda.free(device, address));
        deviceMemory = new DeviceMemory(dtype, length, device, address, owner, owned ? free : null);
    }

    /**
     * Allocates zeroed memory on the current device.
     *
     * @throws BackendUnavailableException if there is no CUDA device
     * @throws CudaException if the device has too little memory
     */
    public static DeviceBuffer allocate(DType dtype, long length) {
        Backend.CUDA.require();
        return allocate(NativeCuda.currentDevice(), dtype, length);
    }

    /**
     * Allocates zeroed memory on a device; devices are counted from 0.
     *
     * @throws BackendUnavailableException if there is no CUDA device
     * @throws CudaException if there is no such device, or it has too little memory
     */
    public static DeviceBuffer allocate(int device, DType dtype, long length) {
        long bytes = HostMemory.bytes(dtype, length);
        Backend.CUDA.require();
        if (bytes == 0) return new DeviceBuffer(dtype, 0, device, 0, null, false);
        return new DeviceBuffer(dtype, length, device, NativeCuda.allocate(device, bytes), null, true);
    }

    /**
     * Wraps elements at an address on a device, kept alive by {@code owner}, which stays reachable through this object.
     * Memory that a framework's allocator has taken back, or a length that reaches into the allocator's next block,
     * can't be detected here.
     *
     * @param address the address of the first element, a multiple of the element size
     * @throws IllegalArgumentException if length is negative, or the address is not in device memory or not such a
     *     multiple
     * @throws BackendUnavailableException if there is no CUDA device
     */
    public static DeviceBuffer wrap(long address, long length, DType dtype, @Nullable Object owner) {
        long bytes = HostMemory.bytes(dtype, length);
        Backend.CUDA.require();
        if (bytes == 0) return new DeviceBuffer(dtype, 0, NativeCuda.currentDevice(), 0, owner, false);
        if (address % dtype.bytes() != 0) {
            throw new IllegalArgumentException("address " + hex(address) + " is not a multiple of " + dtype.bytes()
                    + ", the size of " + dtype + " elements");
        }
        int device = address == 0 ? -1 : NativeCuda.deviceOf(address);
        if (device < 0) {
            throw new IllegalArgumentException("address " + hex(address) + " is not in the memory of a CUDA device; "
                    + "HostBuffer wraps host memory, and a gradient that is absent is declared without an address");
        }
        return new DeviceBuffer(dtype, length, device, address, owner, false);
    }

    private static String hex(long address) {
        return "0x" + Long.toHexString(address);
    }

    @Override
    public DType dtype() {
        return deviceMemory.dtype();
    }

    @Override
    public long length() {
        return deviceMemory.length();
    }

    /** The device that the memory is on, counted from 0. */
    public int device() {
        return deviceMemory.device();
    }

    /**
     * The device address of the first element, for a framework's kernels; 0 for a buffer without elements.
     *
     * @throws IllegalStateException if the buffer is closed
     */
    public long address() {
        deviceMemory.requireOpen();
        return deviceMemory.address();
    }

    // ---- copies -----------------------------------------------------------------------------------------------------

    /** Copies from a whole array of FLOAT32: {@link #copyFrom(HostBuffer)}. */
    public void copyFrom(float[] array) {
        copyFrom(HostBuffer.wrap(array));
    }

    /** Copies from a whole array of FLOAT64: {@link #copyFrom(HostBuffer)}. */
    public void copyFrom(double[] array) {
        copyFrom(HostBuffer.wrap(array));
    }

    /** Copies from a whole array of FLOAT16 or BFLOAT16 bits, as this buffer holds: {@link #copyFrom(HostBuffer)}. */
    public void copyFrom(short[] array) {
        copyFrom(HostBuffer.wrap(array, dtype()));
    }

    /**
     * Copies all elements from the host; complete on return, ordered after earlier work on the default stream.
     *
     * @throws IllegalArgumentException if type or length differ
     * @throws IllegalStateException if the buffer is closed
     */
    public void copyFrom(HostBuffer host) {
        copyFrom(host, CudaStream.DEFAULT);
    }

    /** Copies as {@link #copyFrom(HostBuffer)} does, ordered after earlier work on a stream. */
    public void copyFrom(HostBuffer host, CudaStream stream) {
        requireSameShape(host);
        long address = deviceMemory.retain();
        try {
            DeviceCopy.toDevice(device(), stream.handle(), address, host.hostMemory.pieces());
        } finally {
            deviceMemory.release();
        }
    }

    /** Copies to a whole array of FLOAT32: {@link #copyTo(HostBuffer)}. */
    public void copyTo(float[] array) {
        copyTo(HostBuffer.wrap(array));
    }

    /** Copies to a whole array of FLOAT64: {@link #copyTo(HostBuffer)}. */
    public void copyTo(double[] array) {
        copyTo(HostBuffer.wrap(array));
    }

    /** Copies to a whole array of FLOAT16 or BFLOAT16 bits, as this buffer holds: {@link #copyTo(HostBuffer)}. */
    public void copyTo(short[] array) {
        copyTo(HostBuffer.wrap(array, dtype()));
    }

    /**
     * Copies all elements to the host; complete on return, ordered after earlier work on the default stream.
     *
     * @throws IllegalArgumentException if type or length differ, or the host's memory is read-only
     * @throws IllegalStateException if the buffer is closed
     */
    public void copyTo(HostBuffer host) {
        copyTo(host, CudaStream.DEFAULT);
    }

    /** Copies as {@link #copyTo(HostBuffer)} does, ordered after earlier work on a stream. */
    public void copyTo(HostBuffer host, CudaStream stream) {
        requireSameShape(host);
        if (host.isReadOnly()) throw new IllegalArgumentException("the host buffer is read-only");
        long address = deviceMemory.retain();
        try {
            DeviceCopy.toHost(device(), stream.handle(), address, host.hostMemory.pieces());
        } finally {
            deviceMemory.release();
        }
    }

    private void requireSameShape(HostBuffer host) {
        if (host.dtype() != dtype() || host.length() != length()) {
            throw new IllegalArgumentException("the device buffer has " + length() + " elements of " + dtype()
                    + ", but the host's has " + host.length() + " of " + host.dtype());
        }
        host.hostMemory.requireLasting("the host buffer");
    }

    /**
     * Frees what {@code allocate} took, at once or when the clippers bound to it are closed or bound to other memory.
     * Closing again, or closing borrowed memory, frees nothing.
     */
    @Override
    public void close() {
        deviceMemory.close();
    }

    @Override
    public String toString() {
        Object owner = deviceMemory.owner();
        return "DeviceBuffer[" + length() + " " + dtype() + ", device " + device() + ", " + hex(deviceMemory.address())
                + (owner == null ? "" : ", kept by " + owner.getClass().getName()) + "]";
    }
}
