// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.train;

import static org.bytedeco.pytorch.global.torch.clip_grad_norm_;

import org.bytedeco.pytorch.TensorVector;

/** LibTorch's own: it looks the gradients up and clips in one call. */
final class LibTorchClipping implements Clipping {
    private final TensorVector parameters;

    LibTorchClipping(Training training) {
        parameters = training.parameters();
    }

    @Override
    public void collect() {}

    @Override
    public void rebind() {}

    @Override
    public double clip(double maxNorm) {
        return clip_grad_norm_(parameters, maxNorm);
    }
}
