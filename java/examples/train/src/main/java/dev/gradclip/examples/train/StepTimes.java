// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.train;

import java.util.Arrays;

/** Nanoseconds and heap bytes that clipping added to each step, by part. */
final class StepTimes {
    /** The parts of what clipping adds. */
    enum Part {
        COLLECT,
        REBIND,
        CLIP
    }

    private final long[][] nanos;
    private final long[] bytes;

    StepTimes(int steps) {
        nanos = new long[Part.values().length][steps];
        bytes = new long[steps];
    }

    void time(Part part, int step, long value) {
        nanos[part.ordinal()][step] = value;
    }

    void bytes(int step, long value) {
        bytes[step] = value;
    }

    /** Median microseconds of a part. */
    double micros(Part part) {
        return median(nanos[part.ordinal()]) / 1e3;
    }

    /** Microseconds of all parts, at a share of the steps: 0 the fastest, 0.5 the median, 1 the slowest. */
    double totalMicros(double share) {
        long[] totals = new long[bytes.length];
        for (long[] part : nanos) for (int i = 0; i < totals.length; i++) totals[i] += part[i];
        Arrays.sort(totals);
        return totals[(int) Math.round(share * (totals.length - 1))] / 1e3;
    }

    /** Median heap bytes a step. */
    long bytes() {
        return (long) median(bytes);
    }

    private static double median(long[] values) {
        long[] sorted = values.clone();
        Arrays.sort(sorted);
        return sorted[sorted.length / 2];
    }
}
