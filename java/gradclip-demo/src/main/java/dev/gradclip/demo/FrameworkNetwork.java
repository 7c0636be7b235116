// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

/** A network that a {@link Framework} trains, used by one thread. */
public interface FrameworkNetwork extends AutoCloseable {
    /**
     * The findings of a step.
     *
     * @param loss mean cross-entropy of the batch, nats
     * @param norm L2, of all gradients before clipping
     * @param clipped whether gradients were changed
     */
    record Step(double loss, double norm, boolean clipped) {}

    /** Runs forward, backward, clip and update. */
    Step step(Batch batch);

    /** Counts the images that it tells wrong. */
    int errors(Batch batch);

    @Override
    void close();
}
