// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

/** A sequence and its class. */
final class Example {
    private final float[][] steps;
    private final int label;

    Example(float[][] steps, int label) {
        this.steps = steps;
        this.label = label;
    }

    /** One vector a step. */
    float[][] steps() {
        return steps;
    }

    /** The class, from 0. */
    int label() {
        return label;
    }
}
