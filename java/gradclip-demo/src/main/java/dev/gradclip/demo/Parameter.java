// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

import java.util.Arrays;

/** A weight matrix and its gradient. */
final class Parameter {
    private final String name;
    private final float[][] values;
    private final float[][] sums;
    private final float[] gradient;

    Parameter(String name, int rows, int columns) {
        this.name = name;
        values = new float[rows][columns];
        sums = new float[rows][columns];
        gradient = new float[rows * columns];
    }

    /** The name in errors. */
    String name() {
        return name;
    }

    /** Rows of the matrix. */
    float[][] values() {
        return values;
    }

    /** The gradient that a backward pass adds up, by rows. */
    float[][] sums() {
        return sums;
    }

    /** The gradient as one array, row after row, which is clipped. */
    float[] gradient() {
        return gradient;
    }

    void clear() {
        for (float[] row : sums) Arrays.fill(row, 0);
    }

    /** Puts what was added up where it is clipped. */
    void collect() {
        int at = 0;
        for (float[] row : sums) {
            System.arraycopy(row, 0, gradient, at, row.length);
            at += row.length;
        }
    }

    /** One step of gradient descent. */
    void descend(float learningRate) {
        int at = 0;
        for (float[] row : values) {
            for (int j = 0; j < row.length; j++) row[j] -= learningRate * gradient[at++];
        }
    }
}
