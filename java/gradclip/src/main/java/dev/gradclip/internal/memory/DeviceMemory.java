// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.memory;

import dev.gradclip.DType;
import dev.gradclip.internal.resource.LeakGuard;
import dev.gradclip.internal.resource.SharedResource;
import org.jspecify.annotations.Nullable;

/**
 * One tensor's elements in the memory of a CUDA device, which stays while somebody retains it. It is this object that
 * is watched for leaks: whoever is bound to the memory refers to it, though the buffer that the user had is gone.
 */
public final class DeviceMemory implements TensorMemory {
    private final DType dtype;
    private final long length;
    private final int device;
    private final long address;
    private final @Nullable Object owner;
    private final SharedResource resource;

    /**
     * Elements at an address of a device, 0 where there are none.
     *
     * @param owner kept reachable, for it keeps the memory alive
     * @param free frees the memory, without a reference to this object; null where somebody else does
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

    /** The device, counted from 0. */
    public int device() {
        return device;
    }

    /** The address of the first element, which is valid as long as the memory is open or retained. */
    public long address() {
        return address;
    }

    /** Throws where the memory is closed. */
    public void requireOpen() {
        resource.requireOpen();
    }

    /** Keeps the memory until {@link #release}; returns its address. */
    public long retain() {
        resource.retain();
        return address;
    }

    /** Ends what {@link #retain} began. */
    public void release() {
        resource.release();
    }

    /** Frees the memory, once nobody retains it. */
    public void close() {
        resource.close();
    }
}
