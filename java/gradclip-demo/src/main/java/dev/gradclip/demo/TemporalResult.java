// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

import java.util.List;

/**
 * The findings of a tanh RNN on the temporal order problem, with and without clipping, as the sequence grows.
 *
 * @param learningRate of all runs
 * @param updates most of each run; a run ends when it has solved the problem
 * @param lengths of the sequences
 * @param clippings the ways to clip
 * @param runs all of them
 */
public record TemporalResult(
        double learningRate, int updates, List<Integer> lengths, List<Clipping> clippings, List<Run> runs) {
    /**
     * One training.
     *
     * @param clipping the way to clip
     * @param length of a sequence
     * @param run its number, from 0: the same weights and sequences for every way to clip
     * @param error share of held-out sequences told wrong at the end
     * @param solved whether that is below 1 %
     * @param trace what was seen
     */
    public record Run(Clipping clipping, int length, int run, double error, boolean solved, Trace trace) {}

    /**
     * The rate at which one way to clip solved the problem at one length.
     *
     * @param clipping the way to clip
     * @param length of a sequence
     * @param solved share of the runs that solved it
     */
    public record Rate(Clipping clipping, int length, double solved) {}

    /** Returns all rates, by clipping and then by length. */
    public List<Rate> rates() {
        return clippings.stream()
                .flatMap(way -> lengths.stream().map(length -> new Rate(way, length, successRate(way, length))))
                .toList();
    }

    public List<Run> runs(Clipping clipping, int length) {
        return runs.stream()
                .filter(run -> run.clipping().equals(clipping) && run.length() == length)
                .toList();
    }

    /** Returns the share of the runs that solved it. */
    public double successRate(Clipping clipping, int length) {
        List<Run> some = runs(clipping, length);
        return (double) some.stream().filter(Run::solved).count() / some.size();
    }

    /** Returns the largest norm of all runs; NaN if one's is. */
    public double largestNorm(Clipping clipping, int length) {
        return runs(clipping, length).stream()
                .mapToDouble(run -> run.trace().largestNorm())
                .max()
                .orElse(0);
    }

    /** Returns the share of clipped steps of all runs. */
    public double clippedShare(Clipping clipping, int length) {
        List<Run> some = runs(clipping, length);
        double clipped = some.stream().mapToInt(run -> run.trace().clipped()).sum();
        return clipped / some.stream().mapToInt(run -> run.trace().steps()).sum();
    }
}
