// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.train;

/** The work between {@code backward()} and {@code step()}: collect the gradients, rebind them, clip. */
interface Clipping extends AutoCloseable {
    /** Asks the model where this step's gradients are. */
    void collect();

    /** Tells the clipper. */
    void rebind();

    /** Scales them by {@code min(1, maxNorm / (norm + 1e-6))}; returns the norm. */
    double clip(double maxNorm);

    @Override
    default void close() {}
}
