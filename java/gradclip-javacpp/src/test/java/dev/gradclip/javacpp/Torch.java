// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.javacpp;

import static org.bytedeco.pytorch.global.torch.ones;
import static org.bytedeco.pytorch.global.torch.randn;

import org.bytedeco.javacpp.DoublePointer;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtensionContext;

/** Skips tests where LibTorch's natives do not load, and says so; and what tests do with tensors. */
final class Torch implements ExecutionCondition {
    private static final String MISSING = missing();

    private static String missing() {
        try {
            torch.manual_seed(1);
            return "";
        } catch (LinkageError e) {
            String why = "gradclip-javacpp: no LibTorch natives for this platform, tests skipped: " + e;
            System.out.println(why);
            return why;
        }
    }

    @Override
    public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
        return MISSING.isEmpty()
                ? ConditionEvaluationResult.enabled("LibTorch")
                : ConditionEvaluationResult.disabled(MISSING);
    }

    /** A parameter of so many elements that has no gradient yet. */
    static Tensor parameter(long... sizes) {
        return randn(sizes).requires_grad_(true);
    }

    /** A parameter whose gradient is all ones. */
    static Tensor withOnes(long... sizes) {
        Tensor parameter = parameter(sizes);
        parameter.mutable_grad().put(ones(sizes));
        return parameter;
    }

    static TensorVector vector(Tensor... parameters) {
        return new TensorVector(parameters);
    }

    /** The elements, in the order of the indices, in double. */
    static double[] values(Tensor tensor) {
        Tensor plain = tensor.toType(ScalarType.Double).contiguous();
        double[] values = new double[(int) plain.numel()];
        if (values.length == 0) return values;
        DoublePointer data = plain.data_ptr_double();
        data.get(values);
        return values;
    }

    static double norm(Tensor... tensors) {
        double sum = 0;
        for (Tensor tensor : tensors) for (double x : values(tensor)) sum += x * x;
        return Math.sqrt(sum);
    }

    static void fill(Tensor tensor, double value) {
        tensor.fill_(new Scalar(value));
    }
}
