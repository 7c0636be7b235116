// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.train;

import java.util.Locale;

/**
 * One way of clipping in one case: median microseconds, unless it says otherwise.
 *
 * @param bites the case: whether the norm is above the threshold
 * @param by who clips
 * @param fastest of the sum
 * @param slowest of the sum
 * @param heapBytes median a step
 * @param ratio LibTorch's median sum divided by this one's
 * @param share of the whole step, with this clipping
 */
record Row(
        boolean bites,
        String by,
        double collect,
        double rebind,
        double clip,
        double sum,
        double fastest,
        double slowest,
        long heapBytes,
        double ratio,
        double share) {

    static final String HEAD = "| case | by | collect | rebind | clip | sum (fastest to slowest) | heap bytes a step "
            + "| LibTorch / this | of the step |\n|---|---|---|---|---|---|---|---|---|";

    /** Times of one way beside LibTorch's, in a step that takes so many microseconds without clipping. */
    static Row of(boolean bites, String by, StepTimes times, StepTimes libTorch, double stepMicros) {
        double sum = times.totalMicros(0.5);
        return new Row(
                bites,
                by,
                times.micros(StepTimes.Part.COLLECT),
                times.micros(StepTimes.Part.REBIND),
                times.micros(StepTimes.Part.CLIP),
                sum,
                times.totalMicros(0),
                times.totalMicros(1),
                times.bytes(),
                libTorch.totalMicros(0.5) / sum,
                sum / (stepMicros + sum));
    }

    String markdown() {
        return String.format(
                Locale.ROOT,
                "| %s | %s | %.1f | %.1f | %.0f | %.0f (%.0f to %.0f) | %d | %.2f | %.1f %% |",
                bites ? "bites" : "does not bite",
                by,
                collect,
                rebind,
                clip,
                sum,
                fastest,
                slowest,
                heapBytes,
                ratio,
                100 * share);
    }

    String json() {
        return String.format(
                Locale.ROOT,
                "{\"bites\": %b, \"by\": \"%s\", \"collectMicros\": %.3f, \"rebindMicros\": %.3f, \"clipMicros\": "
                        + "%.3f, "
                        + "\"sumMicros\": %.3f, \"fastestMicros\": %.3f, \"slowestMicros\": %.3f, \"heapBytes\": %d, "
                        + "\"libTorchRatio\": %.4f, \"stepShare\": %.6f}",
                bites,
                by,
                collect,
                rebind,
                clip,
                sum,
                fastest,
                slowest,
                heapBytes,
                ratio,
                share);
    }
}
