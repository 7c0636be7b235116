// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

import dev.gradclip.Backend;
import dev.gradclip.ClipRule;
import dev.gradclip.GradientClipper;
import dev.gradclip.NormRule;
import dev.gradclip.Scope;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.function.LongConsumer;
import java.util.function.Supplier;

/**
 * Rules with a fixed threshold and rules that find it from earlier norms, each in the same trainings: an LSTM reads
 * digits by plain SGD at several learning rates, and with gradients that are 1000 times too large now and then.
 */
public final class Thresholds {
    /** The steps of each training in the usual 45 seconds. */
    private static final double STEPS_A_SECOND = 1000 / 45.0;

    /** How many runs of each rule and training, from other weights, on other batches. */
    public static final int RUNS = 3;

    private static final int UNITS = 32;

    /** The training whose norms are the run that thresholds are drawn over. */
    private static final Setting DRAWN = new Setting("5 with faults", 5, 150);

    /**
     * A way to train.
     *
     * @param name as tables call it
     * @param learningRate of SGD
     * @param faults each so many steps one gradient is too large; 0 for none
     */
    public record Setting(String name, double learningRate, int faults) {}

    /**
     * The findings about a rule.
     *
     * @param clipping the rule
     * @param accuracies the mean share of test images told right, by setting; steps that were skipped kept the weights
     */
    public record Row(Clipping clipping, List<Double> accuracies) {}

    private final long seed;
    private final int steps;
    private final Backend backend;

    /**
     * @param seconds about how long all trainings take on two processors; the steps follow from it and not from a clock
     * @param backend who clips
     */
    public Thresholds(long seed, double seconds, Backend backend) {
        this.seed = seed;
        this.steps = (int) Math.max(1, Math.round(seconds * STEPS_A_SECOND));
        this.backend = backend;
    }

    /** Returns the steps of each training. */
    public int steps() {
        return steps;
    }

    public static List<Setting> settings() {
        return List.of(new Setting("1", 1, 0), new Setting("5", 5, 0), new Setting("20", 20, 0), DRAWN);
    }

    /** The ways to clip, all with one norm over all tensors. */
    public static List<Clipping> clippings() {
        List<Clipping> clippings = new ArrayList<>(List.of(Clipping.NONE, Clipping.norm(0.1), Clipping.norm(1)));
        for (NormRule rule : remembering()) clippings.add(Clipping.of(rule));
        clippings.add(new Clipping("skip-spikes, norm 1", ClipRule.skipSpikes().withMaxNorm(1)));
        return List.copyOf(clippings);
    }

    /** The rules whose thresholds follow from earlier norms. */
    public static List<NormRule> remembering() {
        return List.of(
                ClipRule.autoClip(),
                ClipRule.quantileClip().withScope(Scope.ALL),
                ClipRule.percentileClip().withScope(Scope.ALL),
                ClipRule.medianClip(),
                ClipRule.zClip(),
                ClipRule.adaGc().withScope(Scope.ALL),
                ClipRule.growthCap().withScope(Scope.ALL),
                ClipRule.skipSpikes());
    }

    /** Returns the number of trainings that {@link #rows} reports one by one. */
    public static long trainings() {
        return (long) clippings().size() * settings().size() * RUNS;
    }

    /** Trains by each rule; {@code progress} hears from several threads. */
    public List<Row> rows(LongConsumer progress) throws IOException {
        List<ImageSet> images = new ArrayList<>();
        for (int run = 0; run < RUNS; run++) images.add(Digits.load(seed + run));
        List<Supplier<Double>> trainings = new ArrayList<>();
        for (Clipping clipping : clippings()) {
            for (Setting setting : settings()) {
                for (int run = 0; run < RUNS; run++) {
                    ImageSet set = images.get(run);
                    long first = seed + run;
                    trainings.add(() -> {
                        try (Training training = training(clipping, setting, first, set)) {
                            progress.accept(1);
                            return Batches.accuracy(training, set.test());
                        }
                    });
                }
            }
        }
        List<Double> accuracies = trainings.parallelStream().map(Supplier::get).toList();
        List<Row> rows = new ArrayList<>();
        int at = 0;
        for (Clipping clipping : clippings()) {
            List<Double> means = new ArrayList<>();
            for (int setting = 0; setting < settings().size(); setting++) {
                double sum = 0;
                for (int run = 0; run < RUNS; run++) sum += accuracies.get(at++);
                means.add(sum / RUNS);
            }
            rows.add(new Row(clipping, means));
        }
        return rows;
    }

    /** Returns the norms of a run with faults, clipped to a norm of 1. */
    public double[] norms() throws IOException {
        try (Training training = training(Clipping.norm(1), DRAWN, seed, Digits.load(seed))) {
            return training.trace().norms();
        }
    }

    /** Returns the threshold that a rule has in each step of a run of norms, infinity where it has none. */
    public static double[] over(double[] norms, NormRule rule) {
        double[] gradient = new double[1];
        double[] thresholds = new double[norms.length];
        try (GradientClipper clipper = GradientClipper.of(gradient)) {
            for (int step = 0; step < norms.length; step++) {
                gradient[0] = norms[step];
                clipper.clip(rule);
                thresholds[step] = clipper.history(rule).threshold();
            }
        }
        return thresholds;
    }

    private Training training(Clipping clipping, Setting setting, long seed, ImageSet images) {
        Random random = new Random(seed);
        Batches batches = new Batches(images.train(), random);
        Network network = new Lstm(images.columns(), UNITS, images.classes(), images.rows(), Batches.SIZE, random);
        if (setting.faults() > 0) network = new FaultyNetwork(network, setting.faults());
        Training training = new Training(network, clipping, setting.learningRate(), backend);
        for (int step = 0; step < steps; step++) training.step(batches.next());
        return training;
    }
}
