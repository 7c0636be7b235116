// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

import dev.gradclip.Backend;
import dev.gradclip.ClipListener;
import dev.gradclip.ClipResult;
import dev.gradclip.ClipRule;
import dev.gradclip.DType;
import dev.gradclip.DeviceBuffer;
import dev.gradclip.GradientBuffer;
import dev.gradclip.GradientClipper;
import dev.gradclip.GradientClipperBuilder;
import dev.gradclip.HostBuffer;
import dev.gradclip.Update;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The gradients and weights of a network, bound to a clipper. A device is sent copies, and sends the weights back. */
final class BoundGradients implements AutoCloseable {
    private static final ClipRule ONLY_MEASURE = ClipRule.globalNorm(Double.POSITIVE_INFINITY);

    private final List<Parameter> parameters;
    /** A gradient and its weights by turns. */
    private final List<DeviceBuffer> copies = new ArrayList<>();

    private final GradientClipper clipper;

    /** @param listener who hears of each clip, or null */
    BoundGradients(List<Parameter> parameters, Backend backend, @Nullable ClipListener listener) {
        this.parameters = parameters;
        // Each run has a thread of its own, and these gradients are small.
        GradientClipperBuilder builder =
                GradientClipper.builder().backend(backend).threads(1);
        if (listener != null) builder.listener(listener);
        try {
            for (Parameter parameter : parameters) {
                builder.add(parameter.name(), buffer(parameter.gradient(), backend));
                builder.weights(buffer(parameter.weights(), backend));
            }
            clipper = builder.build();
        } catch (RuntimeException | Error e) {
            copies.forEach(DeviceBuffer::close);
            throw e;
        }
    }

    private GradientBuffer buffer(float[] array, Backend backend) {
        if (backend != Backend.CUDA) return HostBuffer.wrap(array);
        DeviceBuffer copy = DeviceBuffer.allocate(DType.FLOAT32, array.length);
        copies.add(copy);
        return copy;
    }

    /** Returns the global norm as it is now. */
    double norm() {
        for (int i = 0; i < copies.size(); i += 2)
            copies.get(i).copyFrom(parameters.get(i / 2).gradient());
        return clipper.globalNorm();
    }

    /** Reports the gradients to the listener; changes nothing. */
    void report() {
        clipper.clip(ONLY_MEASURE);
    }

    /** Updates the weights with the clipped gradients that {@link #norm} has just measured; these stay as they are. */
    ClipResult step(Update update, ClipRule rule) {
        parameters.forEach(Parameter::pack);
        for (int i = 1; i < copies.size(); i += 2)
            copies.get(i).copyFrom(parameters.get(i / 2).weights());
        ClipResult result = clipper.step(update, rule);
        for (int i = 1; i < copies.size(); i += 2)
            copies.get(i).copyTo(parameters.get(i / 2).weights());
        parameters.forEach(Parameter::unpack);
        return result;
    }

    @Override
    public void close() {
        clipper.close();
        copies.forEach(DeviceBuffer::close);
    }
}
