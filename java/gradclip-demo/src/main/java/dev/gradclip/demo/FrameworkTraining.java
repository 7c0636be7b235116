// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

import java.util.List;

/** Training by a framework. */
final class FrameworkTraining implements Learner {
    private final FrameworkNetwork network;
    private final Trace trace = new Trace();

    FrameworkTraining(FrameworkNetwork network) {
        this.network = network;
    }

    @Override
    public void step(List<Example> batch) {
        FrameworkNetwork.Step step = network.step(new Batch(batch));
        trace.add(step.loss(), step.norm(), step.clipped());
    }

    @Override
    public int errors(List<Example> batch) {
        return network.errors(new Batch(batch));
    }

    @Override
    public Trace trace() {
        return trace;
    }

    @Override
    public void close() {
        network.close();
    }
}
