// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;

/** A recurrent network that tells a class by its last state: {@code hₜ = tanh(xₜ U + hₜ₋₁ W + b)}. */
final class TanhRnn implements Network {
    private final Parameter input;
    private final Parameter recurrent;
    private final Parameter bias;
    private final OutputLayer output;
    private final float[][] transposed;
    private final float[][][] states;
    private final float[][] stateGradients;
    private final float[][] gradients;
    private final float[][] inputs;
    private List<Example> batch = List.of();

    /**
     * Draws all weights from a normal distribution; biases are 0.
     *
     * @param steps of each sequence
     * @param most sequences in a batch
     */
    TanhRnn(int inputs, int units, int classes, int steps, int most, double deviation, Random random) {
        input = new Parameter("input weights", inputs, units);
        recurrent = new Parameter("recurrent weights", units, units);
        bias = new Parameter("bias", 1, units);
        Matrices.fill(input.values(), random, deviation);
        Matrices.fill(recurrent.values(), random, deviation);
        output = new OutputLayer(units, classes, most, deviation, random);
        transposed = new float[units][units];
        states = new float[steps + 1][most][units];
        stateGradients = new float[most][units];
        gradients = new float[most][units];
        this.inputs = new float[most][];
    }

    @Override
    public List<Parameter> parameters() {
        return Stream.concat(Stream.of(input, recurrent, bias), output.parameters().stream())
                .toList();
    }

    @Override
    public int errors() {
        return output.errors();
    }

    @Override
    public double forward(List<Example> batch) {
        this.batch = batch;
        for (int t = 0; t < states.length - 1; t++) {
            for (int i = 0; i < batch.size(); i++) {
                float[] x = batch.get(i).steps()[t];
                float[] h = states[t + 1][i];
                System.arraycopy(bias.values()[0], 0, h, 0, h.length);
                Matrices.addProduct(h, x, input.values(), x.length);
                Matrices.addProduct(h, states[t][i], recurrent.values(), h.length);
                Activation.tanh(h, 0, h.length);
            }
        }
        return output.forward(states[states.length - 1], batch);
    }

    @Override
    public void backward() {
        parameters().forEach(Parameter::clear);
        Matrices.transpose(recurrent.values(), transposed);
        output.backward(states[states.length - 1], stateGradients, batch.size());
        for (int t = states.length - 2; t >= 0; t--) step(t);
        parameters().forEach(Parameter::collect);
    }

    private void step(int t) {
        for (int i = 0; i < batch.size(); i++) {
            float[] h = states[t + 1][i];
            float[] dh = stateGradients[i];
            float[] dz = gradients[i];
            for (int j = 0; j < dz.length; j++) dz[j] = dh[j] * (1 - h[j] * h[j]);
            float[] sum = bias.sums()[0];
            for (int j = 0; j < dz.length; j++) sum[j] += dz[j];
            Arrays.fill(dh, 0);
            Matrices.addProduct(dh, dz, transposed, dz.length);
            inputs[i] = batch.get(i).steps()[t];
        }
        Matrices.addTransposedProduct(input.sums(), inputs, gradients, batch.size());
        Matrices.addTransposedProduct(recurrent.sums(), states[t], gradients, batch.size());
    }
}
