// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

import dev.gradclip.ClipListener;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.function.Function;
import java.util.function.LongConsumer;

/**
 * An LSTM, or a framework's network, reads images row by row, by plain SGD at a rate that is far too high: without
 * clipping, clipped by value, and by the global norm.
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
        int most = Effort.digits(plan.seconds(), stepCost, CLIPPINGS.size());
        Framework framework = plan.framework();
        steps = framework == null
                ? most
                : Effort.framework(plan.seconds(), framework.stepsASecond(), CLIPPINGS.size(), most);
    }

    /** Returns the cost of all trainings, in the unit in which they report progress. */
    long cost() {
        return stepCost * steps * CLIPPINGS.size();
    }

    List<Callable<DigitsResult.Run>> trainings(LongConsumer progress) {
        List<Callable<DigitsResult.Run>> trainings = new ArrayList<>();
        for (Clipping clipping : CLIPPINGS) trainings.add(() -> train(clipping, progress));
        return trainings;
    }

    DigitsResult result(List<DigitsResult.Run> runs) {
        Framework framework = plan.framework();
        return new DigitsResult(
                framework == null ? null : framework.name(),
                framework == null ? "an LSTM reads images row by row" : framework.model(),
                images.source(),
                images.train().size(),
                images.test().size(),
                framework == null ? LEARNING_RATE : framework.learningRate(),
                runs);
    }

    private DigitsResult.Run train(Clipping clipping, LongConsumer progress) {
        Random random = new Random(plan.seed(0, 0));
        List<Example> examples = new ArrayList<>(images.train());
        int batch = Math.min(BATCH, examples.size());
        int at = examples.size();
        try (Learner learner = learner(clipping, random)) {
            for (int step = 0; step < steps; step++) {
                if (at + batch > examples.size()) {
                    Collections.shuffle(examples, random);
                    at = 0;
                }
                learner.step(examples.subList(at, at + batch));
                at += batch;
                progress.accept(stepCost);
            }
            return new DigitsResult.Run(clipping, learner.trace(), accuracy(learner));
        }
    }

    private Learner learner(Clipping clipping, Random random) {
        int rows = images.rows();
        int columns = images.columns();
        int classes = images.classes();
        Framework framework = plan.framework();
        if (framework != null) {
            return new FrameworkTraining(framework.network(rows, columns, classes, clipping.rule(), plan.seed(0, 0)));
        }
        Lstm network = new Lstm(columns, UNITS, classes, rows, BATCH, random);
        Function<Clipping, ClipListener> listeners = plan.listeners();
        return new Training(
                network, clipping, LEARNING_RATE, plan.backend(), listeners == null ? null : listeners.apply(clipping));
    }

    private double accuracy(Learner learner) {
        int errors = 0;
        List<Example> test = images.test();
        for (int at = 0; at < test.size(); at += BATCH) {
            errors += learner.errors(test.subList(at, Math.min(at + BATCH, test.size())));
        }
        return 1 - (double) errors / test.size();
    }
}
