// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

import java.util.List;

/** Trains a framework's network and notes what each step found. */
final class FrameworkTraining implements Learner {
    private final FrameworkNetwork network;
    private final Trace trace = new Trace();

    FrameworkTraining(FrameworkNetwork network) {
        this.network = network;
    }

    @Override
    public void step(List<Example> batch) {
        FrameworkNetwork.Step step = network.step(Batch.of(batch));
        trace.add(step.loss(), step.norm(), step.clipped());
    }

    @Override
    public int errors(List<Example> batch) {
        return network.errors(Batch.of(batch));
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
