// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

/**
 * Computes tanh and the logistic function. {@link Math#tanh} may differ by a bit from one JDK or processor to the next,
 * and a network that explodes turns a bit into another ending; {@link StrictMath} takes ten times as long.
 */
final class Activation {
    /** The argument from which tanh counts as 1: to the precision of a float it is, from about 9 on. */
    private static final float SATURATED = 10;

    private Activation() {}

    /** Computes tanh by Lambert's continued fraction at a quarter of the argument, doubled twice: within 2e-7. */
    static void tanh(float[] z, int from, int to) {
        for (int j = from; j < to; j++) {
            float x = Math.max(-SATURATED, Math.min(SATURATED, z[j])) * 0.25f;
            float s = x * x;
            float n = x * (135135 + s * (17325 + s * (378 + s)));
            float d = 135135 + s * (62370 + s * (3150 + 28 * s));
            // tanh 2x = 2 t / (1 + t²) with t = n / d, the division put off to the end.
            float n2 = 2 * n * d;
            float d2 = d * d + n * n;
            z[j] = 2 * n2 * d2 / (d2 * d2 + n2 * n2);
        }
    }

    /** Computes {@code 1 / (1 + exp(-z))}. */
    static void logistic(float[] z, int from, int to) {
        for (int j = from; j < to; j++) z[j] *= 0.5f;
        tanh(z, from, to);
        for (int j = from; j < to; j++) z[j] = 0.5f + 0.5f * z[j];
    }
}
