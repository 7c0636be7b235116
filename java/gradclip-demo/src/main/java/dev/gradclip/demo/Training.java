// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

import dev.gradclip.Backend;
import dev.gradclip.ClipListener;
import dev.gradclip.ClipRule;
import dev.gradclip.Update;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Trains the demo's own network by plain stochastic gradient descent, with one way to clip. Where it clips, one call
 * clips and updates the weights; it leaves the bits that a clip and then {@link Parameter#descend} would leave.
 */
final class Training implements Learner {
    private final Network network;
    private final Clipping clipping;
    private final Update update;
    private final BoundGradients gradients;
    private final boolean isHeard;
    private final Trace trace = new Trace();

    Training(Network network, Clipping clipping, double learningRate, Backend backend) {
        this(network, clipping, learningRate, backend, null);
    }

    /** @param listener who hears of each step, or null */
    Training(
            Network network, Clipping clipping, double learningRate, Backend backend, @Nullable ClipListener listener) {
        this.network = network;
        this.clipping = clipping;
        update = Update.sgd(learningRate);
        gradients = new BoundGradients(network.parameters(), backend, listener);
        isHeard = listener != null;
    }

    @Override
    public void step(List<Example> batch) {
        double loss = network.forward(batch);
        network.backward();
        double norm = gradients.norm();
        ClipRule rule = clipping.rule();
        boolean clipped = false;
        if (rule == null) {
            if (isHeard) gradients.report();
            descend();
        } else {
            clipped = gradients.step(update, rule).clipped();
        }
        trace.add(loss, norm, clipped);
    }

    private void descend() {
        for (Parameter parameter : network.parameters()) parameter.descend((float) update.learningRate());
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
