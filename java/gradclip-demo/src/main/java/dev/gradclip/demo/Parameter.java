// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

import java.util.Arrays;

/** A weight matrix and its gradient. */
final class Parameter {
    private final String name;
    private final float[][] values;
    private final float[][] sums;
    private final float[] gradient;
    private final float[] weights;

    Parameter(String name, int rows, int columns) {
        this.name = name;
        values = new float[rows][columns];
        sums = new float[rows][columns];
        gradient = new float[rows * columns];
        weights = new float[rows * columns];
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

    /** Returns the gradient as one array, row after row, which a clipper is bound to. */
    float[] gradient() {
        return gradient;
    }

    /** Returns the array in which a step updates the matrix, row after row, between {@link #pack} and unpack. */
    float[] weights() {
        return weights;
    }

    void clear() {
        for (float[] row : sums) Arrays.fill(row, 0);
    }

    /** Copies the sums into the gradient. */
    void collect() {
        join(sums, gradient);
    }

    /** Copies the rows of the matrix into the weights. */
    void pack() {
        join(values, weights);
    }

    /** Copies the weights into the rows of the matrix. */
    void unpack() {
        int at = 0;
        for (float[] row : values) {
            System.arraycopy(weights, at, row, 0, row.length);
            at += row.length;
        }
    }

    private static void join(float[][] rows, float[] to) {
        int at = 0;
        for (float[] row : rows) {
            System.arraycopy(row, 0, to, at, row.length);
            at += row.length;
        }
    }

    /** Takes one step of gradient descent with the gradient as it is. */
    void descend(float learningRate) {
        int at = 0;
        for (float[] row : values) {
            for (int j = 0; j < row.length; j++) row[j] -= learningRate * gradient[at++];
        }
    }
}
