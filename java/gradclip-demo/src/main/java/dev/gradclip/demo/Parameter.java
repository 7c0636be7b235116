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

    /** Returns the name that errors use. */
    String name() {
        return name;
    }

    /** Returns the rows of the matrix. */
    float[][] values() {
        return values;
    }

    /** Returns the sums of a backward pass, in rows too. */
    float[][] sums() {
        return sums;
    }

    /** Returns the gradient as one array, row after row, which is clipped. */
    float[] gradient() {
        return gradient;
    }

    void clear() {
        for (float[] row : sums) Arrays.fill(row, 0);
    }

    /** Copies the sums into the gradient. */
    void collect() {
        int at = 0;
        for (float[] row : sums) {
            System.arraycopy(row, 0, gradient, at, row.length);
            at += row.length;
        }
    }

    /** Takes one step of gradient descent. */
    void descend(float learningRate) {
        int at = 0;
        for (float[] row : values) {
            for (int j = 0; j < row.length; j++) row[j] -= learningRate * gradient[at++];
        }
    }
}
