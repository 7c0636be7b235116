// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.measure;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The time of one call, in microseconds.
 *
 * @param median half of the samples are below it
 * @param low a tenth is
 * @param high nine tenths are
 * @param calls how many were timed
 */
public record Times(double median, double low, double high, long calls) {
    private static final int FEWEST_SAMPLES = 3;
    private static final int MOST_SAMPLES = 100_000;

    /** Shorter calls are timed several at once: reading the clock takes 0.02 of it. */
    private static final double SHORTEST_NANOS = 2_000;

    /** Calls for a third of the time to warm up, at least once, and times calls for the rest, at least three. */
    public static Times of(Runnable call, double seconds) {
        long start = System.nanoTime();
        long warm = 0;
        do {
            call.run();
            warm++;
        } while (System.nanoTime() - start < seconds / 3 * 1e9);
        long batch = Math.max(1, Math.round(SHORTEST_NANOS * warm / (System.nanoTime() - start)));
        return sample(List.of(call), batch, start + (long) (seconds * 1e9)).get(0);
    }

    /**
     * Times some calls by turns, so that what slows the machine down for a while slows all of them; else as {@link #of}
     * does.
     */
    public static List<Times> byTurns(List<Runnable> calls, double seconds) {
        long start = System.nanoTime();
        do {
            calls.forEach(Runnable::run);
        } while (System.nanoTime() - start < seconds / 3 * 1e9);
        return sample(calls, 1, start + (long) (seconds * 1e9));
    }

    /** Times batches of each call by turns. */
    private static List<Times> sample(List<Runnable> calls, long batch, long end) {
        double[][] micros = new double[calls.size()][1024];
        int n = 0;
        while (n < FEWEST_SAMPLES || (n < MOST_SAMPLES && System.nanoTime() < end)) {
            for (int k = 0; k < micros.length; k++) {
                if (n == micros[k].length) micros[k] = Arrays.copyOf(micros[k], 2 * n);
                Runnable call = calls.get(k);
                long start = System.nanoTime();
                for (long i = 0; i < batch; i++) call.run();
                micros[k][n] = (System.nanoTime() - start) / 1e3 / batch;
            }
            n++;
        }
        List<Times> times = new ArrayList<>();
        for (double[] each : micros) times.add(of(Arrays.copyOf(each, n), n * batch));
        return times;
    }

    /** Sorts samples and summarizes them. */
    static Times of(double[] micros, long calls) {
        Arrays.sort(micros);
        return new Times(at(micros, 0.5), at(micros, 0.1), at(micros, 0.9), calls);
    }

    /** Returns a percentile by nearest rank. */
    private static double at(double[] sorted, double share) {
        return sorted[(int) Math.max(0, Math.ceil(share * sorted.length) - 1)];
    }
}
