// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.train;

import static org.bytedeco.pytorch.global.torch.cross_entropy;
import static org.bytedeco.pytorch.global.torch.manual_seed;
import static org.bytedeco.pytorch.global.torch.randint;
import static org.bytedeco.pytorch.global.torch.randn;
import static org.bytedeco.pytorch.global.torch.zeros;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.SGD;
import org.bytedeco.pytorch.SGDOptions;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.jspecify.annotations.Nullable;

/** ResNet-50 with its data and optimizer: forward, loss, backward, SGD, on one seeded batch of random pictures. */
final class Training {
    private final ResNet50 model = new ResNet50();
    private final TensorVector parameters = model.parameters();
    private final SGD optimizer = new SGD(parameters, new SGDOptions(1e-3));
    private final Tensor pictures;
    private final Tensor labels;
    private final GradientHabit habit;
    private final @Nullable Tensor bucket;

    private Training(int batch, int image, int frozen, GradientHabit habit) {
        this.habit = habit;
        pictures = randn(batch, 3, image, image);
        labels = randint(1000, new long[] {batch});
        for (int i = 0; i < Math.min(frozen, parameters.size()); i++)
            parameters.get(i).requires_grad_(false);
        bucket = habit == GradientHabit.BUCKET ? bind(parameters) : null;
    }

    /** A seeded model whose first {@code frozen} parameters get no gradient, as in fine-tuning. */
    static Training seeded(int batch, int image, int frozen, GradientHabit habit) {
        manual_seed(1);
        return new Training(batch, image, frozen, habit);
    }

    /** One tensor that all gradients are views into. */
    private static Tensor bind(TensorVector parameters) {
        List<Tensor> trained = new ArrayList<>();
        long elements = 0;
        for (long i = 0; i < parameters.size(); i++) {
            Tensor parameter = parameters.get(i);
            if (!parameter.requires_grad()) continue;
            trained.add(parameter);
            elements += parameter.numel();
        }
        Tensor flat = zeros(elements);
        long at = 0;
        for (Tensor parameter : trained) {
            parameter.mutable_grad().put(flat.narrow(0, at, parameter.numel()).view_as(parameter));
            at += parameter.numel();
        }
        return flat;
    }

    ResNet50 model() {
        return model;
    }

    TensorVector parameters() {
        return parameters;
    }

    /** The tensor that all gradients are views into, where there is one. */
    @Nullable
    Tensor bucket() {
        return bucket;
    }

    /** Elements of the parameters that are trained. */
    long elements() {
        long elements = 0;
        for (long i = 0; i < parameters.size(); i++) {
            if (parameters.get(i).requires_grad()) elements += parameters.get(i).numel();
        }
        return elements;
    }

    /**
     * Zeroes or frees the gradients of the last step, and computes this one's; returns the loss. The same parameters
     * give the same.
     */
    double backward() {
        if (bucket != null) bucket.zero_();
        else optimizer.zero_grad(habit == GradientHabit.FRESH);
        Tensor loss = cross_entropy(model.forward(pictures), labels);
        loss.backward();
        return loss.item_double();
    }

    void step() {
        optimizer.step();
    }
}
