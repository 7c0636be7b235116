// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.function.LongConsumer;

/**
 * Counts how often SGD solves the temporal order problem, with and without clipping by the global norm, as sequences
 * grow: figure 7 of Pascanu, Mikolov and Bengio 2013 (arXiv 1211.5063), "basic tanh", scaled down. Alike are 50 tanh
 * units, weights of N(0, 0.1), batches of 20, threshold 1, 5 runs, and success below 1 % of errors. Different are a
 * rate of 0.1 instead of 0.01, shorter sequences, fewer updates, and 1000 held-out sequences instead of 10,000.
 */
final class TemporalExperiment {
    static final double LEARNING_RATE = 0.1;
    static final List<Clipping> CLIPPINGS = List.of(Clipping.NONE, Clipping.norm(1));
    static final List<Integer> LENGTHS = List.of(10, 15, 20, 25, 30);
    static final int RUNS = 5;
    private static final int UNITS = 50;
    private static final int BATCH = 20;
    private static final double DEVIATION = 0.1;
    private static final double SOLVED = 0.01;
    private static final int HELD_OUT = 1000;

    /** Updates between tests, each of which takes as long as about 17 updates. */
    private static final int TEST_EVERY = 100;

    private final DemoPlan plan;
    private final int updates;

    TemporalExperiment(DemoPlan plan) {
        this.plan = plan;
        long each = 0;
        for (int length : LENGTHS) each += updateCost(length);
        updates = Effort.temporal(plan.seconds(), each, RUNS * CLIPPINGS.size());
    }

    private static long updateCost(int length) {
        // Forward, backward to the states, backward to the weights.
        return 3L * BATCH * length * (TemporalOrder.SYMBOLS + UNITS) * UNITS;
    }

    /** Returns the cost of all trainings, in the unit in which they report progress. */
    long cost() {
        long cost = 0;
        for (int length : LENGTHS) cost += updates * updateCost(length) * RUNS * CLIPPINGS.size();
        return cost;
    }

    /** Returns all trainings, the longest first, so that no thread is left alone with one at the end. */
    List<Callable<TemporalResult.Run>> trainings(LongConsumer progress) {
        List<Callable<TemporalResult.Run>> trainings = new ArrayList<>();
        for (int i = LENGTHS.size() - 1; i >= 0; i--) {
            int length = LENGTHS.get(i);
            for (int run = 0; run < RUNS; run++) {
                int number = run;
                for (Clipping clipping : CLIPPINGS) trainings.add(() -> train(clipping, length, number, progress));
            }
        }
        return trainings;
    }

    TemporalResult result(List<TemporalResult.Run> runs) {
        return new TemporalResult(LEARNING_RATE, updates, LENGTHS, CLIPPINGS, runs);
    }

    private TemporalResult.Run train(Clipping clipping, int length, int run, LongConsumer progress) {
        Random random = new Random(plan.seed(length, run));
        TanhRnn network =
                new TanhRnn(TemporalOrder.SYMBOLS, UNITS, TemporalOrder.CLASSES, length, BATCH, DEVIATION, random);
        TemporalOrder problem = new TemporalOrder(length, random);
        TemporalOrder heldOut = new TemporalOrder(length, new Random(~plan.seed(length, run)));
        try (Training training = new Training(network, clipping, LEARNING_RATE, plan.backend())) {
            double error = 1;
            int update = 0;
            while (update < updates && error >= SOLVED) {
                training.step(problem.batch(BATCH));
                update++;
                progress.accept(updateCost(length));
                if (update % TEST_EVERY == 0 || update == updates) error = error(network, heldOut);
            }
            progress.accept((updates - update) * updateCost(length));
            return new TemporalResult.Run(clipping, length, run, error, error < SOLVED, training.trace());
        }
    }

    private static double error(Network network, TemporalOrder problem) {
        int errors = 0;
        for (int at = 0; at < HELD_OUT; at += BATCH) {
            network.forward(problem.batch(BATCH));
            errors += network.errors();
        }
        return (double) errors / HELD_OUT;
    }
}
