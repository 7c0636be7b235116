// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import dev.gradclip.internal.jni.NativeCuda;
import dev.gradclip.internal.resource.LeakGuard;
import dev.gradclip.internal.resource.SharedResource;

/**
 * A CUDA graph: work that was captured from a stream once, and can be launched again as a whole. It is for programs
 * without a framework that captures graphs.
 *
 * <pre>{@code
 * try (CudaGraph graph = CudaGraph.capture(stream, () -> enqueue(stream))) {
 *     for (…) graph.launch(stream);
 *     stream.synchronize();
 * }
 * }</pre>
 */
public final class CudaGraph implements AutoCloseable {
    private final int device;
    private final long handle;
    private final SharedResource held;

    private CudaGraph(int device, long handle) {
        this.device = device;
        this.handle = handle;
        held = new SharedResource(
                "graph",
                LeakGuard.watch(
                        this,
                        "a CudaGraph",
                        () -> NativeCuda.unlessLost(() -> NativeCuda.destroyGraph(device, handle))));
    }

    /**
     * Captures what {@code work} enqueues on the stream, and on streams that {@code work} makes wait for it; nothing
     * runs yet.
     *
     * @throws CudaException if the stream is the default one, or {@code work} does what can't be captured, such as
     *     waiting for the device
     */
    public static CudaGraph capture(CudaStream stream, Runnable work) {
        Backend.CUDA.require();
        int device = stream.device();
        NativeCuda.beginCapture(device, stream.handle());
        try {
            work.run();
        } catch (Throwable e) {
            discard(device, stream, e);
            throw e;
        }
        return new CudaGraph(device, NativeCuda.endCapture(device, stream.handle()));
    }

    private static void discard(int device, CudaStream stream, Throwable because) {
        try {
            long graph = NativeCuda.endCapture(device, stream.handle());
            NativeCuda.unlessLost(() -> NativeCuda.destroyGraph(device, graph));
        } catch (CudaException e) {
            because.addSuppressed(e);
        }
    }

    /**
     * Enqueues all that was captured on a stream of the same device.
     *
     * @throws IllegalStateException if the graph or the stream is closed
     */
    public void launch(CudaStream stream) {
        held.requireOpen();
        NativeCuda.launchGraph(device, handle, stream.handle());
    }

    /** Closes the graph; work that was launched still runs. Closing again does nothing. */
    @Override
    public void close() {
        held.close();
    }
}
