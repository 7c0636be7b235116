// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.cpu;

import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Runs work with subnormal numbers on a thread that flushes them to zero. Some native libraries leave flush-to-zero
 * switched on in the threads that call them, and Java code there then computes without subnormals. A thread that Java
 * starts has it off.
 */
final class Subnormals {
    /** Volatile, so that no compiler evaluates the product below in advance. */
    private static volatile float least = Float.MIN_NORMAL;

    private Subnormals() {}

    /** Returns true if the calling thread flushes subnormals to zero. */
    static boolean areFlushed() {
        return least * 0.5f == 0;
    }

    /** Runs the work on a fresh thread and waits for it. */
    static long keptFor(LongSupplier work) {
        Errand errand = new Errand(work);
        Thread thread = new Thread(null, errand, "gradclip-subnormals", 0, false);
        thread.start();
        boolean interrupted = false;
        while (true) {
            try {
                thread.join();
                break;
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) Thread.currentThread().interrupt();
        return errand.result();
    }

    private static final class Errand implements Runnable {
        private final LongSupplier work;
        private long result;
        private @Nullable Throwable thrown;

        Errand(LongSupplier work) {
            this.work = work;
        }

        @Override
        public void run() {
            try {
                result = work.getAsLong();
            } catch (RuntimeException | Error e) {
                thrown = e;
            }
        }

        long result() {
            if (thrown instanceof RuntimeException e) throw e;
            if (thrown instanceof Error e) throw e;
            return result;
        }
    }
}
