// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

import java.util.List;

/** A network in training. */
interface Learner extends AutoCloseable {
    /** Runs forward, backward, clip and update, and notes the step in the trace. */
    void step(List<Example> batch);

    /** Counts the examples that it tells wrong. */
    int errors(List<Example> batch);

    Trace trace();

    @Override
    void close();
}
