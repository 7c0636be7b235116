// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.djl;

import dev.gradclip.Backend;
import dev.gradclip.DType;
import dev.gradclip.DeviceBuffer;
import dev.gradclip.GradientBuffer;
import dev.gradclip.GradientClipper;
import dev.gradclip.GradientClipperBuilder;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** The {@link GradientClipper} for this step's gradients on a GPU: rebound where types and lengths are the same, made anew where not. */
final class DjlDeviceBinding implements AutoCloseable {
    private final Consumer<GradientClipperBuilder> settings;
    private @Nullable GradientClipper clipper;
    private DType[] dtypes = {};
    private long[] lengths = {};

    DjlDeviceBinding(Consumer<GradientClipperBuilder> settings) {
        this.settings = settings;
    }

    /** Bound to these; null is a gradient that is absent. */
    GradientClipper bind(List<String> names, List<? extends @Nullable GradientBuffer> buffers) {
        GradientClipper now = clipper;
        if (now == null || !fits(buffers)) return rebuild(names, buffers);
        now.rebind(buffers);
        return now;
    }

    private boolean fits(List<? extends @Nullable GradientBuffer> buffers) {
        for (int i = 0; i < lengths.length; i++) {
            GradientBuffer buffer = buffers.get(i);
            if (buffer != null && (buffer.length() != lengths[i] || buffer.dtype() != dtypes[i])) return false;
        }
        return true;
    }

    private GradientClipper rebuild(List<String> names, List<? extends @Nullable GradientBuffer> buffers) {
        close();
        GradientClipperBuilder builder = GradientClipper.builder();
        settings.accept(builder);
        builder.backend(Backend.CUDA);
        DType[] newDtypes = new DType[names.size()];
        long[] newLengths = new long[names.size()];
        for (int i = 0; i < newLengths.length; i++) {
            GradientBuffer buffer = buffers.get(i);
            // One that has been absent all along has no length yet; its first appearance rebuilds.
            newDtypes[i] = buffer == null ? DType.FLOAT32 : buffer.dtype();
            newLengths[i] = buffer == null ? 0 : buffer.length();
            if (buffer == null) builder.declare(names.get(i), newDtypes[i], 0);
            else builder.add(names.get(i), buffer);
        }
        GradientClipper built = builder.build();
        clipper = built;
        dtypes = newDtypes;
        lengths = newLengths;
        return built;
    }

    /** The device that a gradient is on, or -1 where they are on the host. */
    static int deviceOf(List<? extends @Nullable GradientBuffer> buffers) {
        for (GradientBuffer buffer : buffers) if (buffer instanceof DeviceBuffer onDevice) return onDevice.device();
        return -1;
    }

    @Override
    public void close() {
        if (clipper != null) clipper.close();
        clipper = null;
    }
}
