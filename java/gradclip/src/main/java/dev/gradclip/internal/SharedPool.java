// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal;

import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * Daemon threads that look for jobs in a few slots. A helper spins for a moment before it parks, because a clip's second
 * phase follows its first within microseconds and waking a parked thread costs about fifty. Publishing a job allocates
 * nothing.
 */
final class SharedPool {
    private static final int SLOTS = 64;
    private static final int MOST_HELPERS = 256;
    private static final long SPIN_NANOS = 50_000;
    private static final SharedPool INSTANCE = new SharedPool();

    private final AtomicReferenceArray<@Nullable Job> slots = new AtomicReferenceArray<>(SLOTS);
    private volatile Helper[] helpers = {};

    static SharedPool instance() {
        return INSTANCE;
    }

    void run(Job job, int wanted) {
        int slot = publish(job);
        try {
            if (slot >= 0) wake(wanted);
        } finally {
            // Even where no thread could be started: a job must not be left half open.
            try {
                job.finish();
            } finally {
                if (slot >= 0) slots.set(slot, null);
            }
        }
    }

    /** The slot, or -1 when all are taken: then the caller works alone. */
    private int publish(Job job) {
        for (int i = 0; i < SLOTS; i++) {
            if (slots.get(i) == null && slots.compareAndSet(i, null, job)) return i;
        }
        return -1;
    }

    private void wake(int wanted) {
        if (helpers.length < wanted) grow(wanted);
        int left = wanted;
        for (Helper helper : helpers) {
            if (left == 0) return;
            if (!helper.busy) left--;
            if (helper.parked) LockSupport.unpark(helper);
        }
    }

    private synchronized void grow(int wanted) {
        int before = helpers.length;
        int after = Math.min(wanted, MOST_HELPERS);
        if (after <= before) return;
        Helper[] grown = new Helper[after];
        System.arraycopy(helpers, 0, grown, 0, before);
        for (int i = before; i < after; i++) {
            grown[i] = new Helper(i + 1);
            grown[i].setDaemon(true);
        }
        helpers = grown;
        for (int i = before; i < after; i++) grown[i].start();
    }

    private boolean help(int share) {
        boolean helped = false;
        for (int i = 0; i < SLOTS; i++) {
            Job job = slots.get(i);
            if (job != null && job.hasWork()) {
                job.help(share);
                helped = true;
            }
        }
        return helped;
    }

    private final class Helper extends Thread {
        volatile boolean parked;
        volatile boolean busy;

        private final int share;

        Helper(int number) {
            super(null, null, "gradclip-" + number, 0, false);
            share = number;
        }

        @Override
        public void run() {
            long idleSince = System.nanoTime();
            while (true) {
                busy = true;
                boolean helped = help(share);
                busy = false;
                if (helped) {
                    idleSince = System.nanoTime();
                } else if (System.nanoTime() - idleSince < SPIN_NANOS) {
                    Thread.onSpinWait();
                } else {
                    parked = true;
                    if (!help(share)) LockSupport.park(SharedPool.this);
                    parked = false;
                    idleSince = System.nanoTime();
                }
            }
        }
    }
}
