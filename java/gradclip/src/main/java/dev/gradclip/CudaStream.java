// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import dev.gradclip.internal.cuda.StreamHandle;
import dev.gradclip.internal.jni.NativeCuda;

/**
 * A CUDA stream: work on it runs in the order it was enqueued. A clip on the stream that wrote the gradients runs after
 * that work.
 *
 * <p>{@code of} borrows a framework's stream; {@code create} makes one that must be closed.
 *
 * <pre>{@code
 * CudaStream stream = CudaStream.of(torch_cuda.getCurrentCUDAStream().stream().address());
 * ClipResult result = clipper.clipByGlobalNormAsync(1.0, stream);
 * }</pre>
 */
public final class CudaStream implements AutoCloseable {
    /** The default stream (CUDA's legacy one): ordered with every stream that was not created as non-blocking. */
    public static final CudaStream DEFAULT = new CudaStream(StreamHandle.DEFAULT);

    private static final int CURRENT_DEVICE = -1;

    /** {@code cudaStreamPerThread}. */
    private static final long PER_THREAD = 2;

    final StreamHandle streamHandle;
    private final int device;
    private final boolean owned;

    private CudaStream(StreamHandle streamHandle) {
        this.streamHandle = streamHandle;
        device = CURRENT_DEVICE;
        owned = false;
    }

    private CudaStream(long handle, int device) {
        this.device = device;
        owned = true;
        streamHandle =
                new StreamHandle(handle, () -> NativeCuda.unlessLost(() -> NativeCuda.destroyStream(device, handle)));
    }

    /**
     * Wraps a stream that its owner keeps alive until the clippers that worked on it have worked on another, or are
     * closed.
     *
     * @param handle the stream's {@code cudaStream_t} or {@code CUstream}; 0 is the default stream
     * @throws IllegalArgumentException if the handle is 2, the per-thread default stream, which is another stream on
     *     each thread
     */
    public static CudaStream of(long handle) {
        if (handle == PER_THREAD) {
            throw new IllegalArgumentException(
                    "2 is the handle of the per-thread default stream, which is another stream on each"
                            + " thread; create a stream, or take the default one");
        }
        return new CudaStream(new StreamHandle(handle, null));
    }

    /**
     * Creates a stream of the current device that does not wait for the default stream.
     *
     * @throws BackendUnavailableException if there is no CUDA device
     */
    public static CudaStream create() {
        Backend.CUDA.require();
        return create(NativeCuda.currentDevice());
    }

    /**
     * Creates a stream of a device that does not wait for the default stream.
     *
     * @throws BackendUnavailableException if there is no CUDA device
     * @throws CudaException if there is no such device
     */
    public static CudaStream create(int device) {
        Backend.CUDA.require();
        return new CudaStream(NativeCuda.createStream(device), device);
    }

    /**
     * The {@code cudaStream_t}, as a number.
     *
     * @throws IllegalStateException if the stream is closed
     */
    public long handle() {
        return streamHandle.value();
    }

    /**
     * Waits until everything enqueued so far has run.
     *
     * @throws CudaException if some of it failed
     */
    public void synchronize() {
        Backend.CUDA.require();
        NativeCuda.synchronizeStream(device(), handle());
    }

    int device() {
        return device == CURRENT_DEVICE ? NativeCuda.currentDevice() : device;
    }

    /**
     * Destroys a stream that {@code create} made, once its work is done and no clipper's latest work is on it; closing
     * it again, or closing a borrowed stream, does nothing.
     */
    @Override
    public void close() {
        if (owned) streamHandle.close();
    }

    /** {@code CudaStream[handle, device]}. */
    @Override
    public String toString() {
        return "CudaStream[" + streamHandle + (device == CURRENT_DEVICE ? "" : ", device " + device) + "]";
    }
}
