// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

/** A network that a {@link Framework} trains. Used by one thread. */
public interface FrameworkNetwork extends AutoCloseable {
    /**
     * The figures of a step.
     *
     * @param loss mean cross-entropy of the batch, nats
     * @param norm L2, of all gradients before clipping
     * @param clipped whether gradients were changed
     */
    record Step(double loss, double norm, boolean clipped) {}

    /** Forward, backward, clip, update. */
    Step step(Batch batch);

    /** The number of images that it classifies wrongly. */
    int errors(Batch batch);

    @Override
    void close();
}
