// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.train;

import static org.bytedeco.pytorch.global.torch.adaptive_avg_pool2d;
import static org.bytedeco.pytorch.global.torch.max_pool2d;
import static org.bytedeco.pytorch.global.torch.relu_;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.BatchNorm2dImpl;
import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;

/** ResNet-50 (He et al. 2015), its 161 parameters named as torchvision names them: 25,557,032 elements. */
final class ResNet50 extends Module {
    private static final int[] BLOCKS = {3, 4, 6, 3};

    private final Conv2dImpl conv1 = register_module("conv1", Bottleneck.convolution(3, 64, 7, 2));
    private final BatchNorm2dImpl bn1 = register_module("bn1", Bottleneck.batchNorm(64));
    private final List<Bottleneck> blocks = new ArrayList<>();
    private final LinearImpl fc;

    ResNet50() {
        super("ResNet50");
        int in = 64;
        for (int stage = 0; stage < BLOCKS.length; stage++) {
            Module layer = register_module("layer" + (stage + 1), new Module("layer"));
            int width = 64 << stage;
            for (int i = 0; i < BLOCKS[stage]; i++) {
                boolean first = i == 0;
                Bottleneck block = new Bottleneck(in, width, first && stage > 0 ? 2 : 1, first);
                layer.register_module(String.valueOf(i), block);
                blocks.add(block);
                in = 4 * width;
            }
        }
        fc = register_module("fc", new LinearImpl(in, 1000));
    }

    /** Scores for 1000 classes of pictures, 3 channels each. */
    Tensor forward(Tensor pictures) {
        return fc.forward(adaptive_avg_pool2d(features(pictures), 1, 1).flatten(1, -1));
    }

    /** 2048 channels of a 32nd of the pictures' width and height. */
    Tensor features(Tensor pictures) {
        Tensor x = relu_(bn1.forward(conv1.forward(pictures)));
        x = max_pool2d(x, new long[] {3, 3}, new long[] {2, 2}, new long[] {1, 1}, new long[] {1, 1}, false);
        for (Bottleneck block : blocks) x = block.forward(x);
        return x;
    }
}
