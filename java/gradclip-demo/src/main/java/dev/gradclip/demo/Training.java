// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

import dev.gradclip.Backend;
import dev.gradclip.ClipResult;
import java.util.List;

/** Trains the demo's own network by plain stochastic gradient descent, with one way to clip. */
final class Training implements Learner {
    private final Network network;
    private final Clipping clipping;
    private final float learningRate;
    private final BoundGradients gradients;
    private final Trace trace = new Trace();

    Training(Network network, Clipping clipping, double learningRate, Backend backend) {
        this.network = network;
        this.clipping = clipping;
        this.learningRate = (float) learningRate;
        gradients = new BoundGradients(network.parameters(), backend);
    }

    @Override
    public void step(List<Example> batch) {
        double loss = network.forward(batch);
        network.backward();
        double norm = gradients.norm();
        boolean clipped = false;
        if (clipping.rule() != null) {
            ClipResult result = gradients.clip(clipping.rule());
            clipped = result.clipped();
        }
        trace.add(loss, norm, clipped);
        for (Parameter parameter : network.parameters()) parameter.descend(learningRate);
    }

    @Override
    public int errors(List<Example> batch) {
        network.forward(batch);
        return network.errors();
    }

    @Override
    public Trace trace() {
        return trace;
    }

    @Override
    public void close() {
        gradients.close();
    }
}
