// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

/** Turns seconds into training steps, at the rate measured on two processors (Xeon, AVX-512). */
final class Effort {
    /** The share of the time of one of five runs on images; alone the experiment ends sooner, with the same numbers. */
    private static final double DIGITS_SHARE = 0.04;

    /** The share of all runs on the temporal order problem. Both shares are a little more than the time. */
    private static final double TEMPORAL_SHARE = 0.88;

    /** The multiplications of a training step that two processors do in a second. */
    private static final double MULTIPLICATIONS_A_SECOND = 4.3e9;

    private Effort() {}

    /** Returns the training steps of each run on images. */
    static int digits(double seconds, long multiplications) {
        return steps(seconds * DIGITS_SHARE, multiplications);
    }

    /** Returns the most training steps of each run on the temporal order problem. */
    static int temporal(double seconds, long multiplications, int runs) {
        return steps(seconds * TEMPORAL_SHARE, multiplications * runs);
    }

    /** Returns the training steps of each run of a framework: no more than of the demo's own network. */
    static int framework(double seconds, int stepsASecond, int runs, int most) {
        return (int) Math.max(1, Math.min(most, seconds * stepsASecond / runs));
    }

    private static int steps(double seconds, long multiplications) {
        return (int) Math.max(1, Math.min(1e6, seconds * MULTIPLICATIONS_A_SECOND / multiplications));
    }
}
