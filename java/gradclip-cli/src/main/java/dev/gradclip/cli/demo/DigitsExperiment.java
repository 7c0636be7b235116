// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.demo;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.function.LongConsumer;

/**
 * An LSTM that reads images row by row, by plain SGD at a rate that is far too high: without clipping, with clip by value and
 * by the global norm.
 */
final class DigitsExperiment {
    static final double LEARNING_RATE = 20;
    static final List<Clipping> CLIPPINGS = List.of(Clipping.NONE, Clipping.value(0.003), Clipping.norm(0.1));
    private static final int UNITS = 32;
    private static final int BATCH = 32;

    private final DemoPlan plan;
    private final ImageSet images;
    private final int steps;
    private final long stepCost;

    DigitsExperiment(DemoPlan plan) throws IOException {
        this.plan = plan;
        images = plan.data() == null ? Digits.load(plan.seed()) : IdxImages.load(plan.data(), plan.seed());
        // Forward, backward to the states, backward to the weights.
        stepCost = 3L * BATCH * images.rows() * (images.columns() + UNITS) * 4 * UNITS;
        steps = Effort.digits(plan.seconds(), stepCost, CLIPPINGS.size());
    }

    /** In the unit of what the trainings report as they go. */
    long cost() {
        return stepCost * steps * CLIPPINGS.size();
    }

    List<Callable<DigitsResult.Run>> trainings(LongConsumer progress) {
        List<Callable<DigitsResult.Run>> trainings = new ArrayList<>();
        for (Clipping clipping : CLIPPINGS) trainings.add(() -> train(clipping, progress));
        return trainings;
    }

    DigitsResult result(List<DigitsResult.Run> runs) {
        return new DigitsResult(
                images.source(), images.train().size(), images.test().size(), LEARNING_RATE, runs);
    }

    private DigitsResult.Run train(Clipping clipping, LongConsumer progress) {
        Random random = new Random(plan.seed(0, 0));
        Lstm network = new Lstm(images.columns(), UNITS, images.classes(), images.rows(), BATCH, random);
        List<Example> examples = new ArrayList<>(images.train());
        int batch = Math.min(BATCH, examples.size());
        int at = examples.size();
        try (Training training = new Training(network, clipping, LEARNING_RATE, plan.backend())) {
            for (int step = 0; step < steps; step++) {
                if (at + batch > examples.size()) {
                    Collections.shuffle(examples, random);
                    at = 0;
                }
                training.step(examples.subList(at, at + batch));
                at += batch;
                progress.accept(stepCost);
            }
            return new DigitsResult.Run(clipping, training.trace(), accuracy(network));
        }
    }

    private double accuracy(Network network) {
        int errors = 0;
        List<Example> test = images.test();
        for (int at = 0; at < test.size(); at += BATCH) {
            network.forward(test.subList(at, Math.min(at + BATCH, test.size())));
            errors += network.errors();
        }
        return 1 - (double) errors / test.size();
    }
}
