// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

import java.util.Arrays;
import java.util.List;
import java.util.Random;

/** Computes logits from the last state, softmax and cross-entropy. */
final class OutputLayer {
    private final Parameter weights;
    private final Parameter bias;
    private final float[][] transposed;
    private final float[][] logits;
    private int errors;

    OutputLayer(int units, int classes, int batch, double deviation, Random random) {
        weights = new Parameter("output weights", units, classes);
        bias = new Parameter("output bias", 1, classes);
        transposed = new float[classes][units];
        logits = new float[batch][classes];
        Matrices.fill(weights.values(), random, deviation);
    }

    List<Parameter> parameters() {
        return List.of(weights, bias);
    }

    int errors() {
        return errors;
    }

    /** Returns the mean loss and leaves its gradient in the logits' place. */
    double forward(float[][] states, List<Example> batch) {
        double loss = 0;
        errors = 0;
        for (int i = 0; i < batch.size(); i++) {
            float[] row = logits[i];
            System.arraycopy(bias.values()[0], 0, row, 0, row.length);
            Matrices.addProduct(row, states[i], weights.values(), weights.values().length);
            loss += softmax(row, batch.get(i).label(), batch.size());
        }
        return loss / batch.size();
    }

    private double softmax(float[] row, int label, int count) {
        int best = 0;
        for (int c = 1; c < row.length; c++) if (row[c] > row[best]) best = c;
        // A label whose logit is NaN is told wrong too.
        if (best != label || Float.isNaN(row[label])) errors++;
        double top = row[best];
        double sum = 0;
        for (float logit : row) sum += StrictMath.exp(logit - top);
        double loss = StrictMath.log(sum) - (row[label] - top);
        for (int c = 0; c < row.length; c++) {
            double share = StrictMath.exp(row[c] - top) / sum;
            row[c] = (float) ((c == label ? share - 1 : share) / count);
        }
        return loss;
    }

    /** Adds up the gradients and writes the gradient of the states. */
    void backward(float[][] states, float[][] stateGradients, int count) {
        Matrices.transpose(weights.values(), transposed);
        Matrices.addTransposedProduct(weights.sums(), states, logits, count);
        for (int i = 0; i < count; i++) {
            float[] sum = bias.sums()[0];
            for (int c = 0; c < sum.length; c++) sum[c] += logits[i][c];
            Arrays.fill(stateGradients[i], 0);
            Matrices.addProduct(stateGradients[i], logits[i], transposed, transposed.length);
        }
    }
}
