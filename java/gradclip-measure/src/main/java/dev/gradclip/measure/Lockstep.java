// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.measure;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.function.IntConsumer;

/**
 * Runs a task on threads that begin it together and spin in between: a pass over memory must not pay for waking them.
 */
final class Lockstep implements AutoCloseable {
    private static final int SPINS = 1 << 12;

    private final List<Thread> helpers = new ArrayList<>();
    private final AtomicInteger turn = new AtomicInteger();
    private final AtomicInteger busy = new AtomicInteger();
    private IntConsumer task = part -> {};
    private volatile boolean closed;

    Lockstep(int threads) {
        for (int part = 1; part < threads; part++) {
            int mine = part;
            Thread helper = new Thread(() -> help(mine), "gradclip-lockstep-" + part);
            helper.setDaemon(true);
            helper.start();
            helpers.add(helper);
        }
    }

    /** Runs every part at once, the first on the calling thread, and returns when all are done. */
    void run(IntConsumer each) {
        task = each;
        busy.set(helpers.size());
        turn.incrementAndGet();
        each.accept(0);
        for (int spins = 0; busy.get() > 0; spins++) pause(spins);
    }

    private void help(int part) {
        for (int seen = 0; ; seen++) {
            for (int spins = 0; turn.get() == seen; spins++) {
                if (closed) return;
                pause(spins);
            }
            task.accept(part);
            busy.decrementAndGet();
        }
    }

    /** Spins for a while, then parks: spinning on would keep the processor from others that need it. */
    private static void pause(int spins) {
        if (spins < SPINS) Thread.onSpinWait();
        else LockSupport.parkNanos(1);
    }

    @Override
    public void close() {
        closed = true;
    }
}
