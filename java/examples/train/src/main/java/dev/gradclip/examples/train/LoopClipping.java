// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.train;

import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;

/** The loop that a user would write: squares added up in double, then a second loop that multiplies. */
final class LoopClipping implements Clipping {
    private final TensorVector parameters;
    private final List<FloatBuffer> gradients = new ArrayList<>();

    LoopClipping(Training training) {
        parameters = training.parameters();
    }

    @Override
    public void collect() {
        gradients.clear();
        for (long i = 0; i < parameters.size(); i++) {
            Tensor gradient = parameters.get(i).grad();
            if (gradient.defined()) gradients.add(gradient.createBuffer());
        }
    }

    @Override
    public void rebind() {}

    @Override
    public double clip(double maxNorm) {
        double sum = 0;
        for (FloatBuffer gradient : gradients) {
            for (int i = 0; i < gradient.limit(); i++) sum += (double) gradient.get(i) * gradient.get(i);
        }
        double norm = Math.sqrt(sum);
        float coefficient = (float) (maxNorm / (norm + 1e-6));
        if (coefficient < 1) {
            for (FloatBuffer gradient : gradients) {
                for (int i = 0; i < gradient.limit(); i++) gradient.put(i, gradient.get(i) * coefficient);
            }
        }
        return norm;
    }
}
