// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

import dev.gradclip.Backend;
import dev.gradclip.ClipResult;
import dev.gradclip.ClipRule;
import dev.gradclip.DType;
import dev.gradclip.DeviceBuffer;
import dev.gradclip.GradientClipper;
import dev.gradclip.GradientClipperBuilder;
import dev.gradclip.HostBuffer;
import java.util.ArrayList;
import java.util.List;

/** The gradients of a network, bound to a clipper. A device is sent copies, and sends them back. */
final class BoundGradients implements AutoCloseable {
    private final List<Parameter> parameters;
    private final List<DeviceBuffer> copies = new ArrayList<>();
    private final GradientClipper clipper;

    BoundGradients(List<Parameter> parameters, Backend backend) {
        this.parameters = parameters;
        // Each run has a thread of its own, and these gradients are small.
        GradientClipperBuilder builder =
                GradientClipper.builder().backend(backend).threads(1);
        try {
            for (Parameter parameter : parameters) {
                if (backend == Backend.CUDA) {
                    DeviceBuffer copy = DeviceBuffer.allocate(DType.FLOAT32, parameter.gradient().length);
                    copies.add(copy);
                    builder.add(parameter.name(), copy);
                } else {
                    builder.add(parameter.name(), HostBuffer.wrap(parameter.gradient()));
                }
            }
            clipper = builder.build();
        } catch (RuntimeException | Error e) {
            copies.forEach(DeviceBuffer::close);
            throw e;
        }
    }

    /** Returns the global norm as it is now. */
    double norm() {
        upload();
        return clipper.globalNorm();
    }

    ClipResult clip(ClipRule rule) {
        upload();
        ClipResult result = clipper.clip(rule);
        for (int i = 0; i < copies.size(); i++)
            copies.get(i).copyTo(parameters.get(i).gradient());
        return result;
    }

    private void upload() {
        for (int i = 0; i < copies.size(); i++)
            copies.get(i).copyFrom(parameters.get(i).gradient());
    }

    @Override
    public void close() {
        clipper.close();
        copies.forEach(DeviceBuffer::close);
    }
}
