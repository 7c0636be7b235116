// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.update;

import dev.gradclip.AdamUpdate;
import dev.gradclip.Update;

/** The steps of each tensor, and the products of its betas; a tensor that is absent from a step does not count it. */
public final class Progress {
    private final long[] steps;
    private final double[] power1;
    private final double[] power2;

    /** So many tensors, none of which has had a step. */
    public Progress(int tensors) {
        steps = new long[tensors];
        power1 = new double[tensors];
        power2 = new double[tensors];
        java.util.Arrays.fill(power1, 1);
        java.util.Arrays.fill(power2, 1);
    }

    /** The number of steps of a tensor. */
    public long steps(int tensor) {
        return steps[tensor];
    }

    /** The product of beta1 over a tensor's steps. */
    public double power1(int tensor) {
        return power1[tensor];
    }

    /** The product of beta2 over a tensor's steps. */
    public double power2(int tensor) {
        return power2[tensor];
    }

    /** Sets what a file says of a tensor. */
    public void set(int tensor, long count, double first, double second) {
        steps[tensor] = count;
        power1[tensor] = first;
        power2[tensor] = second;
    }

    /** Counts a step of a tensor, once it has been done. */
    public void count(int tensor, Update update) {
        steps[tensor]++;
        if (update instanceof AdamUpdate adam) {
            power1[tensor] *= adam.beta1();
            power2[tensor] *= adam.beta2();
        }
    }

    /** Writes the numbers of a tensor's next step for its segments {@code [from, to)}. */
    public void write(int tensor, Update update, UpdateTable table, int from, int to) {
        double stepSize = update.learningRate();
        double root = 1;
        if (update instanceof AdamUpdate adam) {
            stepSize = adam.learningRate() / (1 - power1[tensor] * adam.beta1());
            root = Math.sqrt(1 - power2[tensor] * adam.beta2());
        }
        for (int i = from; i < to; i++) table.setProgress(i, stepSize, root, steps[tensor] == 0);
    }
}
