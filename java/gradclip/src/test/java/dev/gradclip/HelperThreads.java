// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;

/** Finds the OpenMP threads that help a thread; tests of adapters use it too. */
public final class HelperThreads {
    private HelperThreads() {}

    /**
     * Works on a new thread, and returns the OpenMP threads that helped it: those that the JVM knows afterwards and did
     * not know before. The OpenMP threads of an earlier thread end with that thread.
     */
    public static Set<Thread> of(Runnable work) throws InterruptedException {
        Set<Thread> before = known();
        FutureTask<Set<Thread>> helped = new FutureTask<>(() -> {
            work.run();
            Set<Thread> now = known();
            now.removeAll(before);
            return now;
        });
        Thread trainer = new Thread(helped);
        trainer.start();
        try {
            return helped.get();
        } catch (ExecutionException e) {
            throw new AssertionError("the training thread died", e.getCause());
        } finally {
            trainer.join();
        }
    }

    private static Set<Thread> known() {
        Set<Thread> threads = new HashSet<>(Thread.getAllStackTraces().keySet());
        threads.removeIf(thread -> !thread.getName().equals("gradclip-openmp"));
        return threads;
    }
}
