// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.train;

import dev.gradclip.Backend;
import dev.gradclip.GradientClipper;
import dev.gradclip.javacpp.TorchClipper;

/** This library: one clipper for all steps, which finds the gradients anew in each. */
final class GradclipClipping implements Clipping {
    private final TorchClipper clipper;
    private GradientClipper bound;

    GradclipClipping(Training training, Backend backend, int threads) {
        clipper = TorchClipper.builder()
                .add(training.model())
                .backend(backend)
                .threads(threads)
                .build();
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
        return bound.clipByGlobalNorm(maxNorm).totalNorm();
    }

    @Override
    public void close() {
        clipper.close();
    }
}
