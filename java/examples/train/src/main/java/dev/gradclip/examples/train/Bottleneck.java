// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.train;

import static org.bytedeco.pytorch.global.torch.relu_;

import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.pytorch.BatchNorm2dImpl;
import org.bytedeco.pytorch.BatchNormOptions;
import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.Conv2dOptions;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

/** Three convolutions, 1×1, 3×3 and 1×1, beside a shortcut. */
final class Bottleneck extends Module {
    private final Conv2dImpl conv1;
    private final BatchNorm2dImpl bn1;
    private final Conv2dImpl conv2;
    private final BatchNorm2dImpl bn2;
    private final Conv2dImpl conv3;
    private final BatchNorm2dImpl bn3;
    private final @Nullable Conv2dImpl shortcut;
    private final @Nullable BatchNorm2dImpl shortcutNorm;

    Bottleneck(int in, int width, int stride, boolean downsample) {
        super("Bottleneck");
        conv1 = register_module("conv1", convolution(in, width, 1, 1));
        bn1 = register_module("bn1", batchNorm(width));
        conv2 = register_module("conv2", convolution(width, width, 3, stride));
        bn2 = register_module("bn2", batchNorm(width));
        conv3 = register_module("conv3", convolution(width, 4 * width, 1, 1));
        bn3 = register_module("bn3", batchNorm(4 * width));
        if (downsample) {
            Module both = register_module("downsample", new Module("downsample"));
            shortcut = both.register_module("0", convolution(in, 4 * width, 1, stride));
            shortcutNorm = both.register_module("1", batchNorm(4 * width));
        } else {
            shortcut = null;
            shortcutNorm = null;
        }
    }

    Tensor forward(Tensor x) {
        Tensor y = relu_(bn1.forward(conv1.forward(x)));
        y = relu_(bn2.forward(conv2.forward(y)));
        y = bn3.forward(conv3.forward(y));
        if (shortcut == null || shortcutNorm == null) return relu_(y.add_(x));
        return relu_(y.add_(shortcutNorm.forward(shortcut.forward(x))));
    }

    static Conv2dImpl convolution(int in, int out, int kernel, int stride) {
        Conv2dOptions options = new Conv2dOptions(in, out, new LongPointer(kernel, kernel));
        options.stride().put(new long[] {stride, stride});
        options.padding().put(new LongPointer(kernel / 2, kernel / 2));
        options.bias().put(false);
        return new Conv2dImpl(options);
    }

    static BatchNorm2dImpl batchNorm(int channels) {
        return new BatchNorm2dImpl(new BatchNormOptions(channels));
    }
}
