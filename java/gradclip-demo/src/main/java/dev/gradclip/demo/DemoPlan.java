// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

import dev.gradclip.Backend;
import dev.gradclip.ClipListener;
import java.nio.file.Path;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * The trainings to run. Their length follows from the seconds and not from a clock, so that numbers do not depend on
 * the machine.
 *
 * @param seed of all that is random
 * @param seconds about how long both experiments take on two processors, {@link Effort}
 * @param backend who clips
 * @param threads how many networks are trained at a time
 * @param digits whether to train on images
 * @param temporalOrder whether to train on the temporal order problem
 * @param framework who trains on images, or null for the demo's own network
 * @param data folder of IDX files instead of the digits that come with the command, or null
 * @param listeners who hears of each clip of the demo's own network on images, by the way to clip; or null. A network
 *     without clipping then clips by an infinite threshold, which changes nothing
 */
public record DemoPlan(
        long seed,
        double seconds,
        Backend backend,
        int threads,
        boolean digits,
        boolean temporalOrder,
        @Nullable Framework framework,
        @Nullable Path data,
        @Nullable Function<Clipping, ClipListener> listeners) {
    /** Returns the seed of one run: another for each run, the same with and without clipping. */
    long seed(int length, int run) {
        return (seed * 1_000_003 + length) * 1_000_003 + run;
    }
}
