// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.threads;

import java.security.AccessController;
import java.security.PrivilegedAction;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.concurrent.atomic.AtomicReferenceFieldUpdater;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * Daemon threads that help all clippers. A caller publishes its queue in a free slot, and the helpers look for work in
 * all slots. A helper spins for a moment before it parks, because a clip's second phase follows its first within
 * microseconds and waking a parked thread costs about fifty. A helper without work for seconds ends, so that its class
 * loader can be collected; a new one starts when there is work. Publishing allocates nothing.
 */
class SharedPool implements ChunkQueue.Helpers {
    private static final int SLOTS = 64;
    private static final int MOST_HELPERS = 256;
    private static final long SPIN_NANOS = 50_000;

    /** Starting a thread costs 60 µs, a hundred-thousandth of the time between clips every 5 s. */
    private static final long KEEP_NANOS = 5_000_000_000L;

    private static final long FIRST_RETRY = 100_000_000;
    private static final long LAST_RETRY = 60_000_000_000L;
    private static final SharedPool INSTANCE = new SharedPool(KEEP_NANOS);

    private static final class Slot {
        volatile @Nullable ChunkQueue queue;
    }

    private static final AtomicReferenceFieldUpdater<Slot, @Nullable ChunkQueue> QUEUE =
            AtomicReferenceFieldUpdater.newUpdater(Slot.class, ChunkQueue.class, "queue");

    private final Slot[] slots = new Slot[SLOTS];
    private final AtomicReferenceArray<@Nullable Helper> helpers = new AtomicReferenceArray<>(MOST_HELPERS);

    /** All helpers are in places below this number. */
    private volatile int places;

    /** Shorter in tests. */
    private volatile long keepNanos;

    /** The time when a thread could not be started; guarded by this. */
    private long refusedAt;

    /** The pause before the next try, doubled each time, as the JVM prints two lines per failure; guarded by this. */
    private long retryNanos;

    SharedPool(long keepNanos) {
        this.keepNanos = keepNanos;
        for (int i = 0; i < SLOTS; i++) slots[i] = new Slot();
    }

    static SharedPool instance() {
        return INSTANCE;
    }

    /** Runs {@link ChunkQueue#phase} with helpers of this pool, or without if all slots are taken. */
    void run(ChunkQueue queue, long chunks, int wanted, boolean backwards) {
        Slot slot = publish(queue);
        try {
            queue.phase(chunks, slot == null ? 0 : wanted, backwards, this);
        } finally {
            // Not a method call, because each call throws on a thread whose stack is used up.
            if (slot != null) slot.queue = null;
        }
    }

    private @Nullable Slot publish(ChunkQueue queue) {
        for (Slot slot : slots) {
            if (slot.queue == null && QUEUE.compareAndSet(slot, null, queue)) return slot;
        }
        return null;
    }

    /** Wakes or starts as many helpers as are wanted; if no thread can be started, the caller does the work. */
    @Override
    public void invite(ChunkQueue queue, int wanted) {
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

    /** Starts a thread; tests override this to fail. */
    void start(Thread helper) {
        helper.start();
    }

    /** Makes a helper without the context of the calling thread, whose class loaders it would keep alive. */
    @SuppressWarnings("removal")
    private Helper detached(int place) {
        return AccessController.doPrivileged(new PrivilegedAction<>() {
            @Override
            public Helper run() {
                Helper helper = new Helper(place);
                helper.setDaemon(true);
                helper.setContextClassLoader(null);
                return helper;
            }
        });
    }

    /** The number of helpers at the moment. */
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
            ChunkQueue queue = slot.queue;
            if (queue != null) helped |= queue.help(share);
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
                // Even after an Error the place is free for another helper.
                remove(this);
            }
            // A caller that published its queue before the removal may have counted on this helper.
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

        /** Parks, unless there is work after all; returns true if there was. */
        private boolean park() {
            parked = true;
            // While a thread is interrupted, parkNanos returns at once; a helper ignores interrupts.
            Thread.interrupted();
            boolean helped = help(share());
            if (!helped) LockSupport.parkNanos(SharedPool.this, keepNanos);
            parked = false;
            return helped;
        }
    }
}
