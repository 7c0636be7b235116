// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.resource;

/** Something on a device that is let go of once it is closed and nobody uses it any more. */
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

    /** From here to {@link #release} it stays. */
    public synchronized void retain() {
        requireOpen();
        users++;
    }

    public synchronized void release() {
        users--;
        if (closed && users == 0) leak.closed();
    }

    /** Closing again does nothing. */
    public synchronized void close() {
        if (closed) return;
        closed = true;
        leak.unreported();
        if (users == 0) leak.closed();
    }
}
