// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * Chunks of work that threads claim one by one. The caller works too and waits only for chunks that others have begun, so
 * a helper that comes late, or never, costs nothing. Reused for every phase: chunks are numbered on and on, and a phase is
 * a range of these numbers, so that a helper left over from one phase can't claim from the next by mistake.
 */
final class Job implements Runnable {
    /** One chunk, from 0 in each phase. */
    interface Work {
        void run(long chunk);
    }

    private static final int SPINS = 2000;

    private final Work work;
    private final AtomicLong next = new AtomicLong();
    private final AtomicLong done = new AtomicLong();
    private final AtomicInteger seats = new AtomicInteger();
    private volatile long limit;
    private long base;
    private volatile @Nullable Throwable failure;

    Job(Work work) {
        this.work = work;
    }

    /** Opens a phase of so many chunks to at most so many helpers at a time. */
    void open(long chunks, int helpers) {
        base = limit;
        failure = null;
        seats.set(helpers);
        limit = base + chunks;
    }

    /** Works until nothing is left, waits for the helpers, and throws what any of them threw. */
    void finish() {
        while (claimOne()) {}
        for (int spins = 0; done.get() != limit; spins++) {
            if (spins < SPINS) Thread.onSpinWait();
            else LockSupport.parkNanos(20_000);
        }
        Throwable thrown = failure;
        if (thrown instanceof RuntimeException e) throw e;
        if (thrown instanceof Error e) throw e;
    }

    boolean hasWork() {
        return next.get() < limit && seats.get() > 0;
    }

    /** A helper's part in the current phase. */
    @Override
    public void run() {
        if (seats.decrementAndGet() >= 0) {
            while (claimOne()) {}
        }
        seats.incrementAndGet();
    }

    private boolean claimOne() {
        long chunk = next.get();
        if (chunk >= limit) return false;
        if (!next.compareAndSet(chunk, chunk + 1)) return true;
        // The phase can't end before this chunk is done, so base is the one that belongs to it.
        try {
            if (failure == null) work.run(chunk - base);
        } catch (RuntimeException | Error e) {
            failure = e;
        } finally {
            done.incrementAndGet();
        }
        return true;
    }
}
