// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.train;

import dev.gradclip.Backend;
import dev.gradclip.GradientClipper;
import dev.gradclip.javacpp.TorchClipper;
import dev.gradclip.javacpp.TorchClipperBuilder;

/** This library: one clipper for all steps, which finds the gradients anew in each. */
final class GradclipClipping implements Clipping {
    private final TorchClipper clipper;
    private GradientClipper bound;

    /** On threads of its own, or, where that is 0, on LibTorch's. */
    GradclipClipping(Training training, Backend backend, int ownThreads) {
        TorchClipperBuilder builder =
                TorchClipper.builder().add(training.model()).backend(backend);
        if (ownThreads > 0) builder.threads(ownThreads);
        clipper = builder.build();
        clipper.collect();
        bound = clipper.rebind();
    }

    @Override
    public void collect() {
        clipper.collect();
    }

    @Override
    public void rebind() {
        bound = clipper.rebind();
    }

    @Override
    public double clip(double maxNorm) {
        return bound.clipByGlobalNorm(maxNorm).globalNorm();
    }

    @Override
    public void close() {
        clipper.close();
    }
}
