// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.report;

import dev.gradclip.NormType;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/** The figures of a whole run file; 25 bytes of memory for each step, and a fixed number for each layer. */
final class RunSeries {
    private static final byte CLIPPED = 1;
    private static final byte NON_FINITE = 2;
    private static final byte SKIPPED = 4;

    private final HeatBins layers = new HeatBins();
    private long[] steps = new long[1024];
    private double[] norms = new double[1024];
    private double[] thresholds = new double[1024];
    private byte[] flags = new byte[1024];
    private int count;
    private double firstTime = Double.NaN;
    private double lastTime = Double.NaN;
    private @Nullable String rule;
    private @Nullable String normType;
    private String normsOf = "tensors";

    private RunSeries() {}

    static RunSeries read(Path file) throws IOException {
        RunSeries run = new RunSeries();
        try (RunReader reader = RunReader.open(file)) {
            for (RunStep step = reader.next(); step != null; step = reader.next()) run.add(step, reader);
            run.rule = reader.rule();
            run.normType = reader.normType();
            run.normsOf = reader.normsOf();
        }
        if (run.count == 0) {
            throw new BadRunException(file + ": holds no clip yet; a run file gets a line for each");
        }
        return run;
    }

    private void add(RunStep step, RunReader reader) {
        if (count == steps.length) {
            int more = Math.multiplyExact(2, count);
            steps = Arrays.copyOf(steps, more);
            norms = Arrays.copyOf(norms, more);
            thresholds = Arrays.copyOf(thresholds, more);
            flags = Arrays.copyOf(flags, more);
        }
        steps[count] = step.step();
        norms[count] = step.norm();
        thresholds[count] = step.threshold();
        flags[count++] = (byte)
                ((step.clipped() ? CLIPPED : 0) | (step.nonFinite() ? NON_FINITE : 0) | (step.skipped() ? SKIPPED : 0));
        if (Double.isNaN(firstTime)) firstTime = step.time();
        lastTime = step.time();
        double[] ofLayers = reader.norms();
        if (ofLayers.length > 0) layers.add(step.step(), reader.names(), ofLayers, power(reader.normType()));
    }

    private static double power(@Nullable String type) {
        try {
            return type == null ? 2 : NormType.parse(type).p();
        } catch (IllegalArgumentException e) {
            return Double.POSITIVE_INFINITY;
        }
    }

    HeatBins layers() {
        return layers;
    }

    int count() {
        return count;
    }

    long firstStep() {
        return steps[0];
    }

    long lastStep() {
        return steps[count - 1];
    }

    long step(int i) {
        return steps[i];
    }

    /** Seconds from the first line to the last; NaN where lines have no time. */
    double seconds() {
        return lastTime - firstTime;
    }

    double firstTime() {
        return firstTime;
    }

    @Nullable
    String rule() {
        return rule;
    }

    @Nullable
    String normType() {
        return normType;
    }

    String normsOf() {
        return normsOf;
    }

    int clipped(int from, int to) {
        return count(CLIPPED, from, to);
    }

    int nonFinite(int from, int to) {
        return count(NON_FINITE, from, to);
    }

    int skipped(int from, int to) {
        return count(SKIPPED, from, to);
    }

    private int count(byte flag, int from, int to) {
        int found = 0;
        for (int i = from; i < to; i++) if ((flags[i] & flag) != 0) found++;
        return found;
    }

    /** The finite norms of some steps, in ascending order. */
    double[] sorted(int from, int to) {
        double[] sorted = IntStream.range(from, to)
                .mapToDouble(i -> norms[i])
                .filter(Double::isFinite)
                .toArray();
        Arrays.sort(sorted);
        return sorted;
    }

    /** The latest threshold of some steps; NaN where there is none. */
    double threshold(int from, int to) {
        for (int i = to - 1; i >= from; i--) if (!Double.isNaN(thresholds[i])) return thresholds[i];
        return Double.NaN;
    }

    /** Whether thresholds differ. */
    boolean thresholdVaries() {
        double last = threshold(0, count);
        for (int i = 0; i < count; i++) if (!Double.isNaN(thresholds[i]) && thresholds[i] != last) return true;
        return false;
    }

    /** Interpolated between neighbours, as {@link dev.gradclip.NormHistory#percentile}. */
    static double percentile(double[] sorted, double percent) {
        if (sorted.length == 0) return Double.NaN;
        double place = percent / 100 * (sorted.length - 1);
        int below = (int) place;
        if (below == sorted.length - 1) return sorted[below];
        return sorted[below] + (place - below) * (sorted[below + 1] - sorted[below]);
    }
}
