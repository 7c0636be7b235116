// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;

/** Trains what a plan says, some networks at a time. */
public final class Demo {
    private final DemoPlan plan;
    private final @Nullable DigitsExperiment digits;
    private final @Nullable TemporalExperiment temporalOrder;

    /**
     * Reads the images.
     *
     * @throws IOException if {@code plan.data()} can't be read, or holds something else
     */
    public Demo(DemoPlan plan) throws IOException {
        this.plan = plan;
        digits = plan.digits() ? new DigitsExperiment(plan) : null;
        temporalOrder = plan.temporalOrder() ? new TemporalExperiment(plan) : null;
    }

    /** The ways to clip of the experiment on images. */
    public static List<Clipping> digitsClippings() {
        return DigitsExperiment.clippings(null);
    }

    /** Returns the sum of what the trainings report as they go. */
    public long cost() {
        return (digits == null ? 0 : digits.cost()) + (temporalOrder == null ? 0 : temporalOrder.cost());
    }

    /** Trains; {@code progress} hears from several threads. */
    public DemoResult run(LongConsumer progress) {
        Framework framework = plan.framework();
        ExecutorService pool = Executors.newFixedThreadPool(plan.threads(), task -> {
            Thread thread = new Thread(task, "gradclip-demo");
            thread.setDaemon(true);
            // Through which DJL and ND4J look for what is theirs.
            if (framework != null)
                thread.setContextClassLoader(framework.getClass().getClassLoader());
            return thread;
        });
        try {
            List<Future<DigitsResult.Run>> images =
                    digits == null ? List.of() : submit(pool, digits.trainings(progress));
            List<Future<TemporalResult.Run>> sequences =
                    temporalOrder == null ? List.of() : submit(pool, temporalOrder.trainings(progress));
            return new DemoResult(
                    plan,
                    digits == null ? null : digits.result(all(images)),
                    temporalOrder == null ? null : temporalOrder.result(all(sequences)));
        } finally {
            pool.shutdownNow();
        }
    }

    private static <T> List<Future<T>> submit(ExecutorService pool, List<Callable<T>> tasks) {
        List<Future<T>> futures = new ArrayList<>();
        for (Callable<T> task : tasks) futures.add(pool.submit(task));
        return futures;
    }

    private static <T> List<T> all(List<Future<T>> futures) {
        List<T> results = new ArrayList<>();
        for (Future<T> future : futures) {
            try {
                results.add(future.get());
            } catch (ExecutionException e) {
                if (e.getCause() instanceof RuntimeException failure) throw failure;
                if (e.getCause() instanceof Error failure) throw failure;
                throw new IllegalStateException(e.getCause());
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new IllegalStateException("interrupted", e);
            }
        }
        return results;
    }
}
