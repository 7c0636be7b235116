// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

/** Something on a device that is let go of once it is closed and nobody uses it any more. */
final class Held {
    private final String what;
    private final Leak leak;
    private int users;
    private boolean closed;

    Held(String what, Leak leak) {
        this.what = what;
        this.leak = leak;
    }

    synchronized void requireOpen() {
        if (closed) throw new IllegalStateException("the " + what + " is closed");
    }

    /** From here to {@link #release} it stays. */
    synchronized void retain() {
        requireOpen();
        users++;
    }

    synchronized void release() {
        users--;
        if (closed && users == 0) leak.closed();
    }

    /** Closing again does nothing. */
    synchronized void close() {
        if (closed) return;
        closed = true;
        leak.unreported();
        if (users == 0) leak.closed();
    }
}
