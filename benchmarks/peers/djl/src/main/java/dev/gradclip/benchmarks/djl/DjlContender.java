// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks.djl;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import dev.gradclip.benchmarks.FloatContender;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** DJL's array operations on PyTorch: the library clips by value only, positive ones only, and not by norm. */
public final class DjlContender implements FloatContender {
    private final List<NDArray> gradients = new ArrayList<>();
    private final List<FloatBuffer> memory = new ArrayList<>();
    private final List<NDArray> clamped = new ArrayList<>();
    private @Nullable NDManager manager;

    @Override
    public String name() {
        return "DJL";
    }

    @Override
    public void bind(int[] lengths) {
        manager = NDManager.newBaseManager();
        for (int length : lengths) {
            NDArray gradient = manager.zeros(new Shape(length), DataType.FLOAT32);
            gradients.add(gradient);
            memory.add(gradient.toByteBuffer(true).asFloatBuffer());
        }
    }

    @Override
    public FloatBuffer gradient(int tensor) {
        return memory.get(tensor);
    }

    @Override
    public FloatBuffer clipped(int tensor) {
        return clamped.isEmpty()
                ? gradient(tensor)
                : clamped.get(tensor).toByteBuffer(true).asFloatBuffer();
    }

    @Override
    public double globalNorm() {
        forget();
        double sum = 0;
        for (NDArray gradient : gradients) {
            try (NDArray norm = gradient.norm()) {
                float one = norm.getFloat();
                sum += (double) one * one;
            }
        }
        return Math.sqrt(sum);
    }

    @Override
    public double clipByGlobalNorm(double maxNorm) {
        double norm = globalNorm();
        double coefficient = maxNorm / (norm + 1e-6);
        if (coefficient < 1) for (NDArray gradient : gradients) gradient.muli((float) coefficient);
        return norm;
    }

    @Override
    public void clipPerTensorNorm(double maxNorm) {
        forget();
        for (NDArray gradient : gradients) {
            try (NDArray norm = gradient.norm()) {
                double coefficient = maxNorm / (norm.getFloat() + 1e-6);
                if (coefficient < 1) gradient.muli((float) coefficient);
            }
        }
    }

    /** There is no clamp in place. */
    @Override
    public void clipByValue(double limit) {
        forget();
        for (NDArray gradient : gradients) clamped.add(gradient.clip((float) -limit, (float) limit));
    }

    private void forget() {
        clamped.forEach(NDArray::close);
        clamped.clear();
    }

    @Override
    public String openMpLibrary() {
        return "libtorch_cpu.so";
    }

    @Override
    public void close() {
        forget();
        gradients.clear();
        memory.clear();
        if (manager != null) manager.close();
    }
}
