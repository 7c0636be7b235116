// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.adapter;

import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * Lets one thread at a time into a clipper and refuses a second one, as {@link dev.gradclip.GradientClipper} does; a
 * closed clipper refuses all.
 *
 * <pre>{@code
 * use.acquire();
 * try {
 *     …
 * } finally {
 *     use.release();
 * }
 * }</pre>
 */
public final class OneThread {
    private final AtomicReference<@Nullable Thread> user = new AtomicReference<>();
    private volatile boolean closed;

    /** Makes a clipper's guard, open and unused. */
    public OneThread() {}

    /**
     * Takes the clipper for the calling thread until {@link #release}.
     *
     * @throws IllegalStateException if another thread has it, or it is closed
     */
    public void acquire() {
        if (!take(Thread.currentThread())) {
            Thread other = user.get();
            throw new IllegalStateException("the clipper is in use by " + (other == null ? "another thread" : other)
                    + "; a clipper serves one thread at a time: give each thread its own");
        }
        if (closed) {
            release();
            throw new IllegalStateException("the clipper is closed");
        }
    }

    /**
     * Returns false where another thread has the clipper; one that was stopped there, and has ended, has it no more.
     */
    private boolean take(Thread me) {
        Thread other = user.get();
        if (other != null && other.isAlive()) return false;
        return user.compareAndSet(other, me);
    }

    /** Ends what {@link #acquire} began. */
    public void release() {
        user.set(null);
    }

    /**
     * Waits for a call under way on another thread, then refuses further calls and runs {@code closing}. Closing again
     * only waits.
     *
     * @throws IllegalStateException from within a call, on the same thread
     */
    public void close(Runnable closing) {
        Thread me = Thread.currentThread();
        if (user.get() == me) {
            throw new IllegalStateException("a clipper can't be closed by its own executor while it works");
        }
        while (!closed) {
            if (!take(me)) {
                LockSupport.parkNanos(20_000);
                continue;
            }
            try {
                if (!closed) {
                    closed = true;
                    closing.run();
                }
            } finally {
                release();
            }
        }
    }
}
