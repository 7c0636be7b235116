// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.resource;

/** A reference-counted device resource, freed after it was closed and its last user has released it. */
public final class SharedResource {
    private final String what;
    private final LeakGuard leak;
    private int users;
    private boolean closed;

    public SharedResource(String what, LeakGuard leak) {
        this.what = what;
        this.leak = leak;
    }

    public synchronized void requireOpen() {
        if (closed) throw new IllegalStateException("the " + what + " is closed");
    }

    /** Keeps the resource from being freed until {@link #release}. */
    public synchronized void retain() {
        requireOpen();
        users++;
    }

    public synchronized void release() {
        users--;
        if (closed && users == 0) leak.closed();
    }

    /** Frees the resource after its last user has released it; closing again does nothing. */
    public synchronized void close() {
        if (closed) return;
        closed = true;
        leak.unreported();
        if (users == 0) leak.closed();
    }
}
