// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.train;

import dev.gradclip.Backend;
import dev.gradclip.GradientClipper;
import dev.gradclip.javacpp.JavacppBuffers;
import org.bytedeco.pytorch.Tensor;

/** This library, where all gradients are views into one tensor: that is one buffer, bound once. */
final class BucketClipping implements Clipping {
    private final GradientClipper clipper;

    BucketClipping(Tensor bucket, Backend backend, int threads) {
        clipper = GradientClipper.builder()
                .backend(backend)
                .threads(threads)
                .add("bucket", JavacppBuffers.wrap(bucket.data_ptr_float().capacity(bucket.numel())))
                .build();
    }

    @Override
    public void collect() {}

    @Override
    public void rebind() {}

    @Override
    public double clip(double maxNorm) {
        return clipper.clipByGlobalNorm(maxNorm).totalNorm();
    }

    @Override
    public void close() {
        clipper.close();
    }
}
