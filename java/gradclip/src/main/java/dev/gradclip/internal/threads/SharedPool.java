// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.threads;

import java.security.AccessController;
import java.security.PrivilegedAction;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.concurrent.atomic.AtomicReferenceFieldUpdater;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * Daemon threads that look for jobs in a few slots. A helper spins for a moment before it parks, because a clip's
 * second phase follows its first within microseconds and waking a parked thread costs about fifty. One that has had
 * nothing to do for seconds ends, so that a class loader can be collected; a new one starts when there is work.
 * Publishing a job allocates nothing.
 */
class SharedPool implements ChunkQueue.Helpers {
    private static final int SLOTS = 64;
    private static final int MOST_HELPERS = 256;
    private static final long SPIN_NANOS = 50_000;

    /** To start a thread costs 60 µs, so that a clip every 5 s loses a hundred-thousandth. */
    private static final long KEEP_NANOS = 5_000_000_000L;

    private static final long FIRST_RETRY = 100_000_000;
    private static final long LAST_RETRY = 60_000_000_000L;
    private static final SharedPool INSTANCE = new SharedPool(KEEP_NANOS);

    private static final class Slot {
        volatile @Nullable ChunkQueue job;
    }

    private static final AtomicReferenceFieldUpdater<Slot, @Nullable ChunkQueue> JOB =
            AtomicReferenceFieldUpdater.newUpdater(Slot.class, ChunkQueue.class, "job");

    private final Slot[] slots = new Slot[SLOTS];
    private final AtomicReferenceArray<@Nullable Helper> helpers = new AtomicReferenceArray<>(MOST_HELPERS);

    /** Helpers are in the places below. */
    private volatile int places;

    /** Shorter in tests. */
    private volatile long keepNanos;

    /** Guarded by this: when a thread could not be started. */
    private long refusedAt;

    /** Guarded by this: for how long none is tried then; twice as long each time, for the JVM prints two lines. */
    private long retryNanos;

    SharedPool(long keepNanos) {
        this.keepNanos = keepNanos;
        for (int i = 0; i < SLOTS; i++) slots[i] = new Slot();
    }

    static SharedPool instance() {
        return INSTANCE;
    }

    /** {@link ChunkQueue#phase} with helpers from here, or alone when all slots are taken. */
    void run(ChunkQueue job, long chunks, int wanted, boolean backwards) {
        Slot slot = publish(job);
        try {
            job.phase(chunks, slot == null ? 0 : wanted, backwards, this);
        } finally {
            // No call, which a thread whose stack is used up could not make.
            if (slot != null) slot.job = null;
        }
    }

    private @Nullable Slot publish(ChunkQueue job) {
        for (Slot slot : slots) {
            if (slot.job == null && JOB.compareAndSet(slot, null, job)) return slot;
        }
        return null;
    }

    /** Wakes as many helpers as are wanted, or starts them; where no thread can be had, the caller does their part. */
    @Override
    public void invite(ChunkQueue job, int wanted) {
        int left = wanted;
        for (int i = 0; left > 0 && i < Math.max(places, Math.min(wanted, MOST_HELPERS)); i++) {
            Helper helper = helpers.get(i);
            if (helper == null) helper = i < wanted ? start(i) : null;
            if (helper == null) continue;
            if (!helper.busy) left--;
            if (helper.parked) LockSupport.unpark(helper);
        }
    }

    private synchronized @Nullable Helper start(int place) {
        Helper known = helpers.get(place);
        if (known != null) return known;
        if (retryNanos > 0 && System.nanoTime() - refusedAt < retryNanos) return null;
        try {
            Helper helper = detached(place);
            start(helper);
            helpers.set(place, helper);
            places = Math.max(places, place + 1);
            retryNanos = 0;
            return helper;
        } catch (OutOfMemoryError e) {
            retryNanos = Math.max(FIRST_RETRY, Math.min(LAST_RETRY, 2 * retryNanos));
            refusedAt = System.nanoTime();
            return null;
        }
    }

    /** Tests put a failure here. */
    void start(Thread helper) {
        helper.start();
    }

    /** Without the context of the thread that happens to clip first, whose class loaders a helper would keep. */
    @SuppressWarnings("removal")
    private Helper detached(int place) {
        return AccessController.doPrivileged((PrivilegedAction<Helper>) () -> {
            Helper helper = new Helper(place);
            helper.setDaemon(true);
            helper.setContextClassLoader(null);
            return helper;
        });
    }

    /** Helpers at the moment. */
    int size() {
        int size = 0;
        for (int i = 0; i < places; i++) if (helpers.get(i) != null) size++;
        return size;
    }

    private synchronized void remove(Helper helper) {
        helpers.compareAndSet(helper.place, helper, null);
    }

    private boolean help(int share) {
        boolean helped = false;
        for (Slot slot : slots) {
            ChunkQueue job = slot.job;
            if (job != null) helped |= job.help(share);
        }
        return helped;
    }

    private final class Helper extends Thread {
        volatile boolean parked;
        volatile boolean busy;

        private final int place;

        Helper(int place) {
            super(null, null, "gradclip-" + (place + 1), 0, false);
            this.place = place;
        }

        @Override
        public void run() {
            try {
                helpUntilIdle();
            } finally {
                // Whatever ended it, another takes its place.
                remove(this);
            }
            // A job that was published before the removal may count on this one.
            help(share());
        }

        private int share() {
            return place + 1;
        }

        private void helpUntilIdle() {
            long helpedLast = System.nanoTime();
            long spinsSince = helpedLast;
            while (true) {
                busy = true;
                boolean helped = help(share());
                busy = false;
                long now = System.nanoTime();
                if (helped) {
                    helpedLast = now;
                    spinsSince = now;
                } else if (now - spinsSince < SPIN_NANOS) {
                    Thread.onSpinWait();
                } else if (now - helpedLast > keepNanos) {
                    return;
                } else {
                    if (park()) helpedLast = now;
                    spinsSince = System.nanoTime();
                }
            }
        }

        /** Unless there is something to do after all. */
        private boolean park() {
            parked = true;
            // An interrupt, which says nothing to a helper, would let it park no more.
            Thread.interrupted();
            boolean helped = help(share());
            if (!helped) LockSupport.parkNanos(SharedPool.this, keepNanos);
            parked = false;
            return helped;
        }
    }
}
