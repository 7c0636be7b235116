// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

import java.util.List;

/** A network whose gradient is far too large now and then, as if a loss had not been divided by its batch. */
final class FaultyNetwork implements Network {
    /** What a faulty gradient is multiplied by. */
    static final float FACTOR = 1000;

    private final Network network;
    private final int period;
    private int passes;

    /** @param period each so many backward passes one is faulty */
    FaultyNetwork(Network network, int period) {
        this.network = network;
        this.period = period;
    }

    @Override
    public List<Parameter> parameters() {
        return network.parameters();
    }

    @Override
    public double forward(List<Example> batch) {
        return network.forward(batch);
    }

    @Override
    public int errors() {
        return network.errors();
    }

    @Override
    public void backward() {
        network.backward();
        if (++passes % period != 0) return;
        for (Parameter parameter : parameters()) {
            float[] gradient = parameter.gradient();
            for (int i = 0; i < gradient.length; i++) gradient[i] *= FACTOR;
        }
    }
}
