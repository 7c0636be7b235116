// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.memory;

import dev.gradclip.DType;
import dev.gradclip.internal.resource.LeakGuard;
import dev.gradclip.internal.resource.SharedResource;
import org.jspecify.annotations.Nullable;

/**
 * The memory of one tensor on a CUDA device, which stays valid until it is closed and released by its last user. This
 * object is the one watched for leaks, because a binding refers to it even after the user's buffer is unreachable.
 */
public final class DeviceMemory implements TensorMemory {
    private final DType dtype;
    private final long length;
    private final int device;
    private final long address;
    private final @Nullable Object owner;
    private final SharedResource resource;

    /**
     * Describes elements at an address of a device, or at 0 if there are none.
     *
     * @param owner the object that keeps the memory alive, or null; it stays reachable
     * @param free frees the memory, without a reference to this object; null if the memory is borrowed
     */
    public DeviceMemory(
            DType dtype, long length, int device, long address, @Nullable Object owner, @Nullable Runnable free) {
        this.dtype = dtype;
        this.length = length;
        this.device = device;
        this.address = address;
        this.owner = owner;
        LeakGuard leak = free == null
                ? LeakGuard.NONE
                : LeakGuard.watch(this, "a DeviceBuffer of " + length + " " + dtype, free);
        resource = new SharedResource("buffer", leak);
    }

    /** The object that keeps the memory alive, or null. */
    public @Nullable Object owner() {
        return owner;
    }

    @Override
    public DType dtype() {
        return dtype;
    }

    @Override
    public long length() {
        return length;
    }

    public int device() {
        return device;
    }

    /** The address of the first element, valid as long as the memory is open or retained. */
    public long address() {
        return address;
    }

    public void requireOpen() {
        resource.requireOpen();
    }

    /** Keeps the memory from being freed until {@link #release}; returns its address. */
    public long retain() {
        resource.retain();
        return address;
    }

    /** Undoes one {@link #retain}. */
    public void release() {
        resource.release();
    }

    /** Frees the memory, after its last user has released it. */
    public void close() {
        resource.close();
    }
}
