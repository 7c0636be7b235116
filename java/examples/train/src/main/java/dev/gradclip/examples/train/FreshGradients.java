// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.train;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.jspecify.annotations.Nullable;

/**
 * Gradients that a backward pass has left once, allocated anew at each call: a step's memory without the time of a
 * pass.
 */
final class FreshGradients implements AutoCloseable {
    private final TensorVector parameters;
    private final List<@Nullable Tensor> kept = new ArrayList<>();

    FreshGradients(TensorVector parameters) {
        this.parameters = parameters;
        for (long i = 0; i < parameters.size(); i++) {
            Tensor gradient = parameters.get(i).mutable_grad();
            kept.add(gradient.defined() ? gradient.clone().retainReference() : null);
        }
    }

    void allocate() {
        for (int i = 0; i < kept.size(); i++) {
            Tensor gradient = kept.get(i);
            if (gradient != null) parameters.get(i).mutable_grad().put(gradient.clone());
        }
    }

    @Override
    public void close() {
        for (Tensor gradient : kept) if (gradient != null) gradient.close();
    }
}
