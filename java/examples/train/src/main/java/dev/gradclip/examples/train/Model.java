// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.train;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.jspecify.annotations.Nullable;

/**
 * Parameters and gradients as a framework keeps them: gradients are freed and allocated anew each step, and frozen
 * parameters have none.
 */
final class Model {
    private final List<ResNet50.Parameter> parameters = ResNet50.parameters();
    private final float[][] weights;
    private final float[] @Nullable [] gradients;
    private final boolean[] frozen;
    private final float[] noise = new float[1 << 20];

    /** The first {@code frozenCount} parameters get no gradient, as in fine-tuning. */
    Model(int frozenCount, long seed) {
        int n = parameters.size();
        weights = new float[n][];
        gradients = new float[n][];
        frozen = new boolean[n];
        for (int i = 0; i < n; i++) {
            weights[i] = new float[parameters.get(i).length()];
            frozen[i] = i < frozenCount;
        }
        Random random = new Random(seed);
        for (int i = 0; i < noise.length; i++) noise[i] = (float) random.nextGaussian() * 1e-2f;
    }

    List<ResNet50.Parameter> parameters() {
        return parameters;
    }

    /** What a framework shows of a parameter's gradient this step: null where there is none. */
    float @Nullable [] gradient(int parameter) {
        return gradients[parameter];
    }

    /** Frees the gradients, as {@code zero_grad(set_to_none=True)} does. */
    void zeroGrad() {
        Arrays.fill(gradients, null);
    }

    /** Stands for a backward pass: fresh gradients of seeded noise, another stretch of it each step. */
    void backward(int step) {
        for (int i = 0; i < weights.length; i++) {
            if (frozen[i]) continue;
            float[] gradient = new float[weights[i].length];
            int from = (step * 7919 + i * 104_729) & (noise.length - 1);
            for (int done = 0; done < gradient.length; ) {
                int n = Math.min(gradient.length - done, noise.length - from);
                System.arraycopy(noise, from, gradient, done, n);
                done += n;
                from = 0;
            }
            gradients[i] = gradient;
        }
    }

    /** Plain SGD. */
    void step(float learningRate) {
        for (int i = 0; i < weights.length; i++) {
            float[] gradient = gradients[i];
            if (gradient == null) continue;
            float[] weight = weights[i];
            for (int j = 0; j < weight.length; j++) weight[j] -= learningRate * gradient[j];
        }
    }
}
