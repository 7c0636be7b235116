// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.train;

import dev.gradclip.Backend;
import dev.gradclip.GradientClipper;
import dev.gradclip.GradientClipperBuilder;
import dev.gradclip.javacpp.JavacppBuffers;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** This library, where all gradients are views into one tensor: that is one buffer, bound once. */
final class BucketClipping implements Clipping {
    private final GradientClipper clipper;

    /** On threads of its own, or, where that is 0, on LibTorch's. */
    BucketClipping(Tensor bucket, Backend backend, int ownThreads) {
        GradientClipperBuilder builder = GradientClipper.builder()
                .backend(backend)
                .add("bucket", JavacppBuffers.wrap(bucket.data_ptr_float().capacity(bucket.numel())));
        if (ownThreads > 0) builder.threads(ownThreads);
        else builder.openMpThreads("libtorch_cpu.so", torch.get_num_threads());
        clipper = builder.build();
    }

    @Override
    public void collect() {}

    @Override
    public void rebind() {}

    @Override
    public double clip(double maxNorm) {
        return clipper.clipByGlobalNorm(maxNorm).globalNorm();
    }

    @Override
    public void close() {
        clipper.close();
    }
}
