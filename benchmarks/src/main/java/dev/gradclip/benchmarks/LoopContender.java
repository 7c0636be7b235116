// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import java.nio.FloatBuffer;

/** The loops that a user would write over arrays: one thread, squares added up in double. */
final class LoopContender implements FloatContender {
    private float[][] gradients = {};
    private FloatBuffer[] views = {};

    @Override
    public String name() {
        return "a loop in Java";
    }

    @Override
    public void bind(int[] lengths) {
        gradients = new float[lengths.length][];
        views = new FloatBuffer[lengths.length];
        for (int i = 0; i < lengths.length; i++) {
            gradients[i] = new float[lengths[i]];
            views[i] = FloatBuffer.wrap(gradients[i]);
        }
    }

    @Override
    public FloatBuffer gradient(int tensor) {
        return views[tensor];
    }

    @Override
    public boolean isExact() {
        return true;
    }

    @Override
    public double globalNorm() {
        double sum = 0;
        for (float[] gradient : gradients) for (float x : gradient) sum += (double) x * x;
        return Math.sqrt(sum);
    }

    @Override
    public double clipByGlobalNorm(double maxNorm) {
        double norm = globalNorm();
        float coefficient = (float) (maxNorm / (norm + 1e-6));
        if (coefficient >= 1) return norm;
        for (float[] gradient : gradients) {
            for (int i = 0; i < gradient.length; i++) gradient[i] *= coefficient;
        }
        return norm;
    }

    @Override
    public void clipPerTensorNorm(double maxNorm) {
        for (float[] gradient : gradients) {
            double sum = 0;
            for (float x : gradient) sum += (double) x * x;
            float coefficient = (float) (maxNorm / (Math.sqrt(sum) + 1e-6));
            if (coefficient >= 1) continue;
            for (int i = 0; i < gradient.length; i++) gradient[i] *= coefficient;
        }
    }

    @Override
    public void clipByValue(double limit) {
        float most = (float) limit;
        for (float[] gradient : gradients) {
            for (int i = 0; i < gradient.length; i++) gradient[i] = Math.max(-most, Math.min(most, gradient[i]));
        }
    }

    @Override
    public void close() {
        gradients = new float[0][];
        views = new FloatBuffer[0];
    }
}
