// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The findings of an LSTM on images, with and without clipping.
 *
 * @param framework who trains, null for the demo's own network
 * @param model what is trained
 * @param source whose images they are
 * @param train how many to learn from
 * @param test how many kept for the test
 * @param learningRate of all runs
 * @param runs one for each way to clip, from the same weights, on the same batches
 */
public record DigitsResult(
        @Nullable String framework,
        String model,
        String source,
        int train,
        int test,
        double learningRate,
        List<Run> runs) {
    /**
     * One training.
     *
     * @param clipping the way to clip
     * @param trace what was seen
     * @param accuracy on the test images, 0 to 1
     */
    public record Run(Clipping clipping, Trace trace, double accuracy) {}
}
