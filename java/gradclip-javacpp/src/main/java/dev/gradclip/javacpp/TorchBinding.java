// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.javacpp;

import dev.gradclip.Backend;
import dev.gradclip.DType;
import dev.gradclip.DeviceBuffer;
import dev.gradclip.GradientClipper;
import dev.gradclip.GradientClipperBuilder;
import dev.gradclip.HostBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Binds a clipper to the gradients as they are at present: it is rebound when they moved, and made anew when they are
 * others. {@link dev.gradclip.adapter.StepClipper} does the same for buffers; here a step passes addresses, so that it
 * allocates none.
 */
final class TorchBinding {
    private final TorchGradients gradients;
    private final @Nullable Backend choice;
    private final Supplier<GradientClipperBuilder> settings;
    private @Nullable GradientClipper clipper;

    TorchBinding(TorchGradients gradients, @Nullable Backend choice, Supplier<GradientClipperBuilder> settings) {
        this.gradients = gradients;
        this.choice = choice;
        this.settings = settings;
    }

    /** The clipper, bound to the gradients that were collected last. */
    GradientClipper bind() {
        GradientClipper now = clipper;
        if (now == null || gradients.changed) now = rebuild();
        boolean java = now.backend() == Backend.JAVA;
        if (java) now.rebind(buffers(gradients.addresses, gradients.dtypes));
        else now.rebind(gradients.addresses);
        if (gradients.bindsWeights && java) now.rebindWeights(buffers(gradients.weights, gradients.weightTypes));
        else if (gradients.bindsWeights) now.rebindWeights(gradients.weights);
        return now;
    }

    void close() {
        if (clipper != null) clipper.close();
        clipper = null;
    }

    private GradientClipper rebuild() {
        boolean onDevice = gradients.place != TorchGradients.HOST;
        if (choice != null && (choice == Backend.CUDA) != onDevice) {
            throw new IllegalArgumentException("the gradients are on " + (onDevice ? "a CUDA device" : "the CPU")
                    + ", which backend " + choice + " does not reach; leave the backend to the gradients");
        }
        GradientClipperBuilder builder = settings.get();
        if (choice != null) builder.backend(choice);
        else if (onDevice) builder.backend(Backend.CUDA);
        for (int i = 0; i < gradients.lengths.length; i++) {
            String name = gradients.names().get(i);
            DType dtype = gradients.dtypes[i];
            long length = gradients.lengths[i];
            long address = gradients.addresses[i];
            // A buffer says which device; on the host the rebinding that follows brings the memory.
            if (onDevice && address != 0) builder.add(name, DeviceBuffer.wrap(address, length, dtype, null));
            else builder.declare(name, dtype, length);
            gradients.shards.get(i).declare(builder);
            if (gradients.rows[i] != TorchGradients.NO_ROWS) builder.rows(gradients.rows[i]);
            if (!gradients.bindsWeights) continue;
            long weights = gradients.weights[i];
            if (onDevice && weights != 0)
                builder.weights(DeviceBuffer.wrap(weights, length, gradients.weightTypes[i], null));
            else builder.weights(gradients.weightTypes[i]);
        }
        GradientClipper built = builder.build();
        try {
            // A clipper that is made anew goes on with the steps that the one before it has done.
            if (clipper != null && clipper.state().steps() > 0) built.state().copyFrom(clipper.state());
            if (clipper != null) built.continueHistories(clipper);
        } catch (Throwable e) {
            built.close();
            throw e;
        }
        close();
        clipper = built;
        gradients.changed = false;
        return built;
    }

    private List<@Nullable HostBuffer> buffers(long[] addresses, DType[] dtypes) {
        List<@Nullable HostBuffer> buffers = new ArrayList<>(addresses.length);
        for (int i = 0; i < addresses.length; i++) {
            buffers.add(addresses[i] == 0 ? null : buffer(i, addresses[i], dtypes[i]));
        }
        return buffers;
    }

    private HostBuffer buffer(int i, long address, DType dtype) {
        long bytes = gradients.lengths[i] * dtype.bytes();
        if (bytes > JavacppBuffers.LARGEST_PIECE) {
            throw new IllegalArgumentException(
                    "the gradient of " + gradients.names().get(i) + " has " + bytes
                            + " bytes, but plain Java takes " + JavacppBuffers.LARGEST_PIECE
                            + " of a framework's tensor at most; the NATIVE backend takes any size");
        }
        return JavacppBuffers.wrap(address, bytes, dtype, gradients);
    }
}
