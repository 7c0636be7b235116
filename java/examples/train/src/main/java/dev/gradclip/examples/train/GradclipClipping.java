// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.train;

import dev.gradclip.Backend;
import dev.gradclip.DType;
import dev.gradclip.GradientClipper;
import dev.gradclip.GradientClipperBuilder;
import org.jspecify.annotations.Nullable;

/** This library: one clipper for all steps, told each step where the gradients are now. */
final class GradclipClipping implements Clipping {
    private final GradientClipper clipper;
    private final float[] @Nullable [] gradients;

    GradclipClipping(Model model, Backend backend, int threads) {
        GradientClipperBuilder builder =
                GradientClipper.builder().backend(backend).threads(threads);
        for (ResNet50.Parameter p : model.parameters()) builder.declare(p.name(), DType.FLOAT32, p.length());
        clipper = builder.build();
        gradients = new float[model.parameters().size()][];
    }

    @Override
    public void collect(Model model) {
        for (int i = 0; i < gradients.length; i++) gradients[i] = model.gradient(i);
    }

    @Override
    public void rebind() {
        clipper.rebind(gradients);
    }

    @Override
    public double clip(double maxNorm) {
        return clipper.clipByGlobalNorm(maxNorm).totalNorm();
    }

    @Override
    public void close() {
        clipper.close();
    }
}
