// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import java.lang.ref.Cleaner;
import java.util.Collections;
import java.util.Map;
import java.util.WeakHashMap;
import java.util.concurrent.atomic.AtomicInteger;

/** Keeps twins of tests' host buffers in device memory: a twin holds the elements from its placing until it is read. */
final class Placed {
    /** The number of twins that triggers garbage collection: each takes some of a process's 65530 mappings on Linux. */
    private static final int MANY = 10_000;

    private static final Cleaner CLEANER = Cleaner.create();
    private static final Map<HostBuffer, DeviceBuffer> TWINS = Collections.synchronizedMap(new WeakHashMap<>());
    private static final AtomicInteger LIVE = new AtomicInteger();

    private Placed() {}

    /** Returns the twin, made from the present elements if there was none. */
    static DeviceBuffer onDevice(HostBuffer host) {
        return TWINS.computeIfAbsent(host, Placed::twin);
    }

    /** Returns the buffer itself with the elements of its twin, which is dropped. */
    static HostBuffer onHost(HostBuffer host) {
        fetch(host);
        TWINS.remove(host);
        return host;
    }

    /** Copies the elements of the twin to the host, if there is one. */
    static void fetch(HostBuffer host) {
        DeviceBuffer twin = TWINS.get(host);
        if (twin != null && host.length() > 0 && !host.isReadOnly()) twin.copyTo(host);
    }

    /** Makes a twin at an offset from 16-byte vectors that depends on the length; it ends where the allocation ends. */
    private static DeviceBuffer twin(HostBuffer host) {
        if (LIVE.get() > MANY) System.gc();
        long offset = (host.length() ^ host.length() >> 2) & 3;
        DeviceBuffer memory = DeviceBuffer.allocate(host.dtype(), host.length() + offset);
        LIVE.incrementAndGet();
        long address = memory.address() + offset * host.dtype().bytes();
        DeviceBuffer twin = DeviceBuffer.wrap(address, host.length(), host.dtype(), memory);
        if (host.length() > 0) twin.copyFrom(host);
        // A clipper may outlive the host buffer, and the host buffer the clipper.
        AtomicInteger users = new AtomicInteger(2);
        CLEANER.register(host, () -> letGo(memory, users));
        CLEANER.register(twin, () -> letGo(memory, users));
        return twin;
    }

    private static void letGo(DeviceBuffer memory, AtomicInteger users) {
        if (users.decrementAndGet() > 0) return;
        memory.close();
        LIVE.decrementAndGet();
    }
}
