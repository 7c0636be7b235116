// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.train;

import static org.bytedeco.pytorch.global.torch.tensor;
import static org.bytedeco.pytorch.global.torch.zeros;
import static org.bytedeco.pytorch.global.torch.zeros_like;

import dev.gradclip.ClipResult;
import dev.gradclip.ClipRule;
import dev.gradclip.javacpp.TorchClipper;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.Dispatcher;
import org.bytedeco.pytorch.GenericList;
import org.bytedeco.pytorch.IValue;
import org.bytedeco.pytorch.IValueVector;
import org.bytedeco.pytorch.OperatorHandle;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorType;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.Type;

/**
 * LibTorch's own fused AdamW, which its C++ optimizers do not use: given the inverse of gradclip's coefficient it clips
 * in the update, and given that a gradient is not finite it leaves everything as it is.
 */
final class FusedAdamW implements AutoCloseable {
    private final OperatorHandle operator = Dispatcher.singleton().findSchemaOrThrow("aten::_fused_adamw_", "");
    private final List<Tensor> parameters = new ArrayList<>();
    private final List<Tensor> averages = new ArrayList<>();
    private final List<Tensor> squares = new ArrayList<>();
    private final List<Tensor> steps = new ArrayList<>();
    private final double rate;

    FusedAdamW(TensorVector list, double rate) {
        this.rate = rate;
        for (long i = 0; i < list.size(); i++) {
            Tensor parameter = new Tensor(list.get(i)).retainReference();
            parameters.add(parameter);
            averages.add(zeros_like(parameter.detach()).retainReference());
            squares.add(zeros_like(parameter.detach()).retainReference());
            steps.add(zeros(new long[] {}).retainReference());
        }
    }

    private static IValue none() {
        return new IValue(new GenericList(new Type.TypePtr(TensorType.get())));
    }

    /** Clips by a global norm and updates. */
    void step(TorchClipper clipper, double maxNorm) {
        clipper.collect();
        ClipResult decision = clipper.rebind().decide(ClipRule.globalNorm(maxNorm));
        GenericList p = new GenericList(new Type.TypePtr(TensorType.get()));
        GenericList g = new GenericList(new Type.TypePtr(TensorType.get()));
        GenericList m = new GenericList(new Type.TypePtr(TensorType.get()));
        GenericList v = new GenericList(new Type.TypePtr(TensorType.get()));
        GenericList t = new GenericList(new Type.TypePtr(TensorType.get()));
        for (int i = 0; i < parameters.size(); i++) {
            Tensor gradient = parameters.get(i).mutable_grad();
            if (!gradient.defined()) continue;
            steps.get(i).add_(new Scalar(1.0));
            p.push_back(new IValue(parameters.get(i)));
            g.push_back(new IValue(gradient));
            m.push_back(new IValue(averages.get(i)));
            v.push_back(new IValue(squares.get(i)));
            t.push_back(new IValue(steps.get(i)));
        }
        IValueVector stack = new IValueVector();
        for (GenericList list : List.of(p, g, m, v)) stack.push_back(new IValue(list));
        stack.push_back(none());
        stack.push_back(new IValue(t));
        for (double number : new double[] {rate, 0.9, 0.999, 0.01, 1e-8}) stack.push_back(new IValue(number));
        stack.push_back(new IValue(false));
        stack.push_back(new IValue(false));
        stack.push_back(new IValue(scalar((float) (1 / decision.coefficient()))));
        stack.push_back(new IValue(scalar(decision.nonFinite() ? 1 : 0)));
        operator.callBoxed(stack);
    }

    private static Tensor scalar(float value) {
        return tensor(new float[] {value}).reshape(new long[0]);
    }

    @Override
    public void close() {
        for (List<Tensor> list : List.of(parameters, averages, squares, steps)) list.forEach(Tensor::close);
    }
}
