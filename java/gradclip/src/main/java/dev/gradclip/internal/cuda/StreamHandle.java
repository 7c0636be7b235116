// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.cuda;

import dev.gradclip.internal.resource.LeakGuard;
import dev.gradclip.internal.resource.SharedResource;
import org.jspecify.annotations.Nullable;

/**
 * A CUDA stream's handle, which stays valid until it is closed and released by its last user. This object is the one
 * watched for leaks, because work on the stream refers to it even after the user's CudaStream is unreachable.
 */
public final class StreamHandle {
    /** CUDA's legacy default stream. */
    public static final StreamHandle DEFAULT = new StreamHandle(0, null);

    private final long value;
    private final SharedResource resource;

    /**
     * Wraps a {@code cudaStream_t}.
     *
     * @param destroy destroys the stream, without a reference to this object; null if the stream is borrowed
     */
    public StreamHandle(long value, @Nullable Runnable destroy) {
        this.value = value;
        LeakGuard leak = destroy == null ? LeakGuard.NONE : LeakGuard.watch(this, "a CudaStream", destroy);
        resource = new SharedResource("stream", leak);
    }

    /**
     * The {@code cudaStream_t}, as a number.
     *
     * @throws IllegalStateException if the stream is closed
     */
    public long value() {
        resource.requireOpen();
        return value;
    }

    /** Keeps the stream from being destroyed until {@link #release}. */
    public void retain() {
        resource.retain();
    }

    /** Undoes one {@link #retain}. */
    public void release() {
        resource.release();
    }

    /** Destroys the stream, after its last user has released it. */
    public void close() {
        resource.close();
    }

    @Override
    public String toString() {
        return "0x" + Long.toHexString(value);
    }
}
