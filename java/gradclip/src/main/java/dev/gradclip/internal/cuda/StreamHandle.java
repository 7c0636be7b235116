// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.cuda;

import dev.gradclip.internal.resource.LeakGuard;
import dev.gradclip.internal.resource.SharedResource;

/** A CUDA stream's handle, which stays valid while somebody retains it. */
public final class StreamHandle {
    /** CUDA's legacy default stream. */
    public static final StreamHandle DEFAULT = new StreamHandle(0, new SharedResource("stream", LeakGuard.NONE));

    private final long value;
    private final SharedResource resource;

    /** A {@code cudaStream_t}; closing the resource destroys the stream. */
    public StreamHandle(long value, SharedResource resource) {
        this.value = value;
        this.resource = resource;
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

    /** Keeps the stream until {@link #release}. */
    public void retain() {
        resource.retain();
    }

    /** Ends what {@link #retain} began. */
    public void release() {
        resource.release();
    }

    /** Destroys the stream, once nobody retains it. */
    public void close() {
        resource.close();
    }

    @Override
    public String toString() {
        return "0x" + Long.toHexString(value);
    }
}
