// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.javacpp;

import static org.bytedeco.pytorch.global.torch.cross_entropy;
import static org.bytedeco.pytorch.global.torch.manual_seed;
import static org.bytedeco.pytorch.global.torch.randint;
import static org.bytedeco.pytorch.global.torch.randn;
import static org.bytedeco.pytorch.global.torch.relu;

import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.pytorch.BatchNorm2dImpl;
import org.bytedeco.pytorch.BatchNormOptions;
import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.SGD;
import org.bytedeco.pytorch.SGDOptions;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;

/** A convolution, a normalisation and a linear layer on random pictures: 6 parameters that really train. */
final class SmallNet extends Module {
    private final Conv2dImpl conv = register_module("conv", new Conv2dImpl(3, 16, new LongPointer(3, 3)));
    private final BatchNorm2dImpl bn = register_module("bn", new BatchNorm2dImpl(new BatchNormOptions(16)));
    private final LinearImpl fc = register_module("fc", new LinearImpl(16 * 30 * 30, 10));
    private final Tensor pictures;
    private final Tensor labels;
    private final SGD optimizer;

    SmallNet() {
        super("SmallNet");
        manual_seed(7);
        pictures = randn(8, 3, 32, 32);
        labels = randint(10, new long[] {8});
        optimizer = new SGD(parameters(), new SGDOptions(0.05));
    }

    LinearImpl fc() {
        return fc;
    }

    Conv2dImpl conv() {
        return conv;
    }

    /** Frees the gradients and computes new ones. */
    void backward() {
        optimizer.zero_grad();
        accumulate();
    }

    /** Adds to the gradients there are. */
    void accumulate() {
        Tensor x = relu(bn.forward(conv.forward(pictures.to(conv.weight().scalar_type()))));
        cross_entropy(fc.forward(x.flatten(1, -1)), labels).backward();
    }

    void step() {
        optimizer.step();
    }

    Tensor[] gradients() {
        TensorVector parameters = parameters();
        Tensor[] gradients = new Tensor[(int) parameters.size()];
        for (int i = 0; i < gradients.length; i++)
            gradients[i] = parameters.get(i).grad();
        return gradients;
    }
}
