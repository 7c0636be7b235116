// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

import dev.gradclip.ClipListener;
import dev.gradclip.ClipRule;
import dev.gradclip.Scope;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.function.Function;
import java.util.function.LongConsumer;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * An LSTM, or a framework's network, reads images row by row, by plain SGD at a rate that is far too high: without
 * clipping, clipped by value, by the global norm, and by a threshold from earlier norms.
 */
final class DigitsExperiment {
    static final double LEARNING_RATE = 20;
    private static final List<Clipping> FIXED = List.of(Clipping.NONE, Clipping.value(0.003), Clipping.norm(0.1));

    /** The usual threshold too, which is too wide here, and one that is found from the norms. */
    private static final List<Clipping> ALL = Stream.concat(
                    FIXED.stream(),
                    Stream.of(
                            Clipping.norm(1),
                            Clipping.of(ClipRule.percentileClip().withScope(Scope.ALL))))
            .toList();

    private static final int UNITS = 32;

    private final DemoPlan plan;
    private final List<Clipping> clippings;
    private final ImageSet images;
    private final int steps;
    private final long stepCost;

    DigitsExperiment(DemoPlan plan) throws IOException {
        this.plan = plan;
        clippings = clippings(plan.framework());
        images = plan.data() == null ? Digits.load(plan.seed()) : IdxImages.load(plan.data(), plan.seed());
        // Forward, backward to the states, backward to the weights.
        stepCost = 3L * Batches.SIZE * images.rows() * (images.columns() + UNITS) * 4 * UNITS;
        int most = Effort.digits(plan.seconds(), stepCost);
        Framework framework = plan.framework();
        steps = framework == null
                ? most
                : Effort.framework(plan.seconds(), framework.stepsASecond(), clippings.size(), most);
    }

    /** Returns the ways to clip; a framework has those with a fixed threshold. */
    static List<Clipping> clippings(@Nullable Framework framework) {
        return framework == null ? ALL : FIXED;
    }

    /** Returns the cost of all trainings, in the unit in which they report progress. */
    long cost() {
        return stepCost * steps * clippings.size();
    }

    List<Callable<DigitsResult.Run>> trainings(LongConsumer progress) {
        List<Callable<DigitsResult.Run>> trainings = new ArrayList<>();
        for (Clipping clipping : clippings) trainings.add(() -> train(clipping, progress));
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
        Batches batches = new Batches(images.train(), random);
        try (Learner learner = learner(clipping, random)) {
            for (int step = 0; step < steps; step++) {
                learner.step(batches.next());
                progress.accept(stepCost);
            }
            return new DigitsResult.Run(clipping, learner.trace(), Batches.accuracy(learner, images.test()));
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
        Lstm network = new Lstm(columns, UNITS, classes, rows, Batches.SIZE, random);
        Function<Clipping, ClipListener> listeners = plan.listeners();
        return new Training(
                network, clipping, LEARNING_RATE, plan.backend(), listeners == null ? null : listeners.apply(clipping));
    }
}
