// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.train;

import java.util.ArrayList;
import java.util.List;

/** The loop that a user would write: squares added up in double, then a second loop that multiplies. */
final class LoopClipping implements Clipping {
    private final List<float[]> gradients = new ArrayList<>();

    @Override
    public void collect(Model model) {
        gradients.clear();
        for (int i = 0; i < model.parameters().size(); i++) {
            float[] gradient = model.gradient(i);
            if (gradient != null) gradients.add(gradient);
        }
    }

    @Override
    public void rebind() {}

    @Override
    public double clip(double maxNorm) {
        double sum = 0;
        for (float[] gradient : gradients) {
            for (float x : gradient) sum += (double) x * x;
        }
        double norm = Math.sqrt(sum);
        float coefficient = (float) (maxNorm / (norm + 1e-6));
        if (coefficient < 1) {
            for (float[] gradient : gradients) {
                for (int i = 0; i < gradient.length; i++) gradient[i] *= coefficient;
            }
        }
        return norm;
    }
}
