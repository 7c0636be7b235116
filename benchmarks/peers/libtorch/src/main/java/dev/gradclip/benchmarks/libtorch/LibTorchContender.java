// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks.libtorch;

import static org.bytedeco.pytorch.global.torch.clip_grad_norm_;
import static org.bytedeco.pytorch.global.torch.clip_grad_value_;
import static org.bytedeco.pytorch.global.torch.zeros;

import dev.gradclip.benchmarks.Contender;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;

/** LibTorch's own {@code clip_grad_norm_} and {@code clip_grad_value_}, on parameters with gradients. */
public final class LibTorchContender implements Contender {
    private static final double L2 = 2;

    private final List<FloatBuffer> gradients = new ArrayList<>();
    private TensorVector parameters = new TensorVector();

    @Override
    public String name() {
        return "LibTorch";
    }

    @Override
    public void bind(int[] lengths) {
        gradients.clear();
        parameters = new TensorVector();
        for (int length : lengths) {
            Tensor parameter = zeros(length);
            parameter.mutable_grad().put(zeros(length));
            parameters.push_back(parameter);
            gradients.add(new FloatPointer(parameter.grad().data_ptr())
                    .capacity(length)
                    .asByteBuffer()
                    .asFloatBuffer());
        }
    }

    @Override
    public FloatBuffer gradient(int tensor) {
        return gradients.get(tensor);
    }

    /** What its users have for a norm: a clip to infinity, which multiplies by 1. */
    @Override
    public double globalNorm() {
        return clipByGlobalNorm(Double.POSITIVE_INFINITY);
    }

    @Override
    public double clipByGlobalNorm(double maxNorm) {
        return clip_grad_norm_(parameters, maxNorm, L2, false);
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
