// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks.libtorch;

import static org.bytedeco.pytorch.global.torch.clip_grad_norm_;
import static org.bytedeco.pytorch.global.torch.clip_grad_value_;
import static org.bytedeco.pytorch.global.torch.zeros;

import dev.gradclip.DType;
import dev.gradclip.benchmarks.Contender;
import dev.gradclip.measure.Shape;
import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** LibTorch's own {@code clip_grad_norm_} and {@code clip_grad_value_}, on parameters with gradients. */
public final class LibTorchContender implements Contender {
    private static final double L2 = 2;

    private final List<Buffer> gradients = new ArrayList<>();
    private final List<Tensor> each = new ArrayList<>();
    private TensorVector parameters = new TensorVector();

    @Override
    public String name() {
        return "LibTorch";
    }

    @Override
    public void bind(Shape shape) {
        gradients.clear();
        each.clear();
        parameters = new TensorVector();
        for (Shape.Tensor tensor : shape.tensors()) {
            TensorOptions options = new TensorOptions(type(tensor.dtype()));
            Tensor parameter = zeros(new long[] {tensor.length()}, options);
            parameter.mutable_grad().put(zeros(new long[] {tensor.length()}, options));
            parameters.push_back(parameter);
            each.add(parameter);
            gradients.add(memory(parameter.grad().data_ptr(), tensor));
        }
    }

    private static ScalarType type(DType dtype) {
        return switch (dtype) {
            case FLOAT64 -> ScalarType.Double;
            case FLOAT32 -> ScalarType.Float;
            case FLOAT16 -> ScalarType.Half;
            case BFLOAT16 -> ScalarType.BFloat16;
        };
    }

    private static Buffer memory(Pointer data, Shape.Tensor tensor) {
        ByteBuffer bytes = new BytePointer(data).capacity(tensor.bytes()).asByteBuffer();
        return switch (tensor.dtype()) {
            case FLOAT64 -> bytes.asDoubleBuffer();
            case FLOAT32 -> bytes.asFloatBuffer();
            case FLOAT16, BFLOAT16 -> bytes.asShortBuffer();
        };
    }

    @Override
    public Buffer gradient(int tensor) {
        return gradients.get(tensor);
    }

    /** A clip to infinity, which multiplies by 1: all that LibTorch's users have for a norm. */
    @Override
    public double globalNorm() {
        return clipByGlobalNorm(Double.POSITIVE_INFINITY);
    }

    @Override
    public double clipByGlobalNorm(double maxNorm) {
        return clip_grad_norm_(parameters, maxNorm, L2, false);
    }

    /** A call for each parameter: all that LibTorch's users have for that. */
    @Override
    public void clipPerTensorNorm(double maxNorm) {
        for (Tensor parameter : each) clip_grad_norm_(parameter, maxNorm, L2, false);
    }

    @Override
    public void clipByValue(double limit) {
        clip_grad_value_(parameters, limit);
    }

    @Override
    public String openMpLibrary() {
        return "libtorch_cpu.so";
    }

    @Override
    public void close() {
        parameters.close();
    }
}
