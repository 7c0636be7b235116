// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

import java.util.Arrays;
import java.util.BitSet;
import java.util.stream.DoubleStream;

/** The findings of a training, step by step. */
public final class Trace {
    private static final int FINAL_STEPS = 50;

    private double[] losses = new double[256];
    private double[] norms = new double[256];
    private int steps;
    private final BitSet clippedSteps = new BitSet();

    void add(double loss, double norm, boolean wasClipped) {
        if (steps == losses.length) {
            losses = Arrays.copyOf(losses, 2 * steps);
            norms = Arrays.copyOf(norms, 2 * steps);
        }
        losses[steps] = loss;
        norms[steps] = norm;
        clippedSteps.set(steps++, wasClipped);
    }

    public int steps() {
        return steps;
    }

    /** Returns the loss of each step's batch, before its update. */
    public double[] losses() {
        return Arrays.copyOf(losses, steps);
    }

    /** Returns the norm of each step's gradients, before clipping. */
    public double[] norms() {
        return Arrays.copyOf(norms, steps);
    }

    /** Returns the number of steps whose gradients were changed. */
    public int clipped() {
        return clippedSteps.cardinality();
    }

    /** Returns true if a step's gradients were changed. */
    public boolean clipped(int step) {
        return clippedSteps.get(step);
    }

    /** Returns the largest norm; NaN if a norm was. */
    public double largestNorm() {
        return DoubleStream.of(norms()).max().orElse(0);
    }

    /** Returns the mean loss of the last 50 steps; NaN if one is. */
    public double finalLoss() {
        return Arrays.stream(losses, Math.max(0, steps - FINAL_STEPS), steps)
                .average()
                .orElse(Double.NaN);
    }
}
