// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.train;

import static org.bytedeco.pytorch.global.torch.randn;
import static org.bytedeco.pytorch.global.torch.randn_like;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;

/**
 * Parameters of one length whose gradients are allocated anew at each call: many small tensors, for which calls count.
 */
final class SmallTensors {
    private final TensorVector parameters = new TensorVector();
    private final int length;

    SmallTensors(int count, int length) {
        this.length = length;
        for (int i = 0; i < count; i++)
            parameters.push_back(randn(new long[] {length}).set_requires_grad(true));
    }

    TensorVector parameters() {
        return parameters;
    }

    /** About the norm that the gradients have. */
    double norm() {
        return Math.sqrt((double) parameters.size() * length);
    }

    void backward() {
        for (long i = 0; i < parameters.size(); i++) {
            Tensor parameter = parameters.get(i);
            parameter.mutable_grad().put(randn_like(parameter.detach()));
        }
    }
}
