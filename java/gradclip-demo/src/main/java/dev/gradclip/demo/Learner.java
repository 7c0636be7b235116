// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

import java.util.List;

/** A network in training. */
interface Learner extends AutoCloseable {
    /** Forward, backward, clip, update; noted in the trace. */
    void step(List<Example> batch);

    /** The number of these that it classifies wrongly. */
    int errors(List<Example> batch);

    Trace trace();

    @Override
    void close();
}
