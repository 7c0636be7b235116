// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;

/**
 * A long short-term memory that tells a class by its last state: {@code cₜ = f cₜ₋₁ + i g}, {@code hₜ = o tanh(cₜ)},
 * the gates i, f and o and the candidate g from {@code xₜ U + hₜ₋₁ W + b}.
 */
final class Lstm implements Network {
    private final int units;
    private final Parameter input;
    private final Parameter recurrent;
    private final Parameter bias;
    private final OutputLayer output;
    private final float[][] transposed;
    /** The gates i, f, o and g side by side, by step and example. */
    private final float[][][] gates;

    private final float[][][] cells;
    private final float[][][] squashed;
    private final float[][][] states;
    private final float[][] stateGradients;
    private final float[][] cellGradients;
    private final float[][] gateGradients;
    private final float[][] inputs;
    private List<Example> batch = List.of();

    /**
     * Draws weights from a normal distribution with 1 / sqrt(rows); biases are 0, that of the forget gate 1.
     *
     * @param steps of each sequence
     * @param most sequences in a batch
     */
    Lstm(int inputs, int units, int classes, int steps, int most, Random random) {
        this.units = units;
        input = new Parameter("input weights", inputs, 4 * units);
        recurrent = new Parameter("recurrent weights", units, 4 * units);
        bias = new Parameter("bias", 1, 4 * units);
        Matrices.fill(input.values(), random, 1 / Math.sqrt(inputs));
        Matrices.fill(recurrent.values(), random, 1 / Math.sqrt(units));
        Arrays.fill(bias.values()[0], units, 2 * units, 1);
        output = new OutputLayer(units, classes, most, 1 / Math.sqrt(units), random);
        transposed = new float[4 * units][units];
        gates = new float[steps][most][4 * units];
        cells = new float[steps + 1][most][units];
        squashed = new float[steps][most][units];
        states = new float[steps + 1][most][units];
        stateGradients = new float[most][units];
        cellGradients = new float[most][units];
        gateGradients = new float[most][4 * units];
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
        for (int t = 0; t < gates.length; t++) {
            for (int i = 0; i < batch.size(); i++) forward(t, i);
        }
        return output.forward(states[gates.length], batch);
    }

    private void forward(int t, int i) {
        float[] z = gates[t][i];
        float[] x = batch.get(i).steps()[t];
        System.arraycopy(bias.values()[0], 0, z, 0, z.length);
        Matrices.addProduct(z, x, input.values(), x.length);
        Matrices.addProduct(z, states[t][i], recurrent.values(), units);
        Activation.logistic(z, 0, 3 * units);
        Activation.tanh(z, 3 * units, 4 * units);
        float[] c = cells[t + 1][i];
        for (int j = 0; j < units; j++) c[j] = z[units + j] * cells[t][i][j] + z[j] * z[3 * units + j];
        float[] s = squashed[t][i];
        System.arraycopy(c, 0, s, 0, units);
        Activation.tanh(s, 0, units);
        float[] h = states[t + 1][i];
        for (int j = 0; j < units; j++) h[j] = z[2 * units + j] * s[j];
    }

    @Override
    public void backward() {
        parameters().forEach(Parameter::clear);
        Matrices.transpose(recurrent.values(), transposed);
        output.backward(states[gates.length], stateGradients, batch.size());
        for (float[] row : cellGradients) Arrays.fill(row, 0);
        for (int t = gates.length - 1; t >= 0; t--) {
            for (int i = 0; i < batch.size(); i++) backward(t, i);
            Matrices.addTransposedProduct(input.sums(), inputs, gateGradients, batch.size());
            Matrices.addTransposedProduct(recurrent.sums(), states[t], gateGradients, batch.size());
        }
        parameters().forEach(Parameter::collect);
    }

    private void backward(int t, int i) {
        float[] z = gates[t][i];
        float[] dz = gateGradients[i];
        float[] dh = stateGradients[i];
        float[] dc = cellGradients[i];
        for (int j = 0; j < units; j++) {
            float in = z[j];
            float forget = z[units + j];
            float out = z[2 * units + j];
            float candidate = z[3 * units + j];
            float s = squashed[t][i][j];
            float d = dc[j] + dh[j] * out * (1 - s * s);
            dz[j] = d * candidate * in * (1 - in);
            dz[units + j] = d * cells[t][i][j] * forget * (1 - forget);
            dz[2 * units + j] = dh[j] * s * out * (1 - out);
            dz[3 * units + j] = d * in * (1 - candidate * candidate);
            dc[j] = d * forget;
        }
        float[] sum = bias.sums()[0];
        for (int j = 0; j < dz.length; j++) sum[j] += dz[j];
        Arrays.fill(dh, 0);
        Matrices.addProduct(dh, dz, transposed, dz.length);
        inputs[i] = batch.get(i).steps()[t];
    }
}
