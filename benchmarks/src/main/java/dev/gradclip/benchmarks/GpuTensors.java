// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import dev.gradclip.ClipResult;
import dev.gradclip.ClipRule;
import dev.gradclip.CudaException;
import dev.gradclip.CudaStream;
import dev.gradclip.DType;
import dev.gradclip.DeviceBuffer;
import dev.gradclip.GradientClipper;
import dev.gradclip.GradientClipperBuilder;
import dev.gradclip.HostBuffer;
import dev.gradclip.Update;
import dev.gradclip.measure.Elements;
import dev.gradclip.measure.Shape;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** The gradients of a case in device memory, bound once, and the calls that are timed. */
final class GpuTensors implements AutoCloseable {
    /** The work that is timed. */
    enum Work {
        /** The norm and the coefficient, nothing applied: one pass. */
        NORM,
        /** Below the threshold: one pass. */
        DOES_NOT_BITE,
        /** Above it: two passes. */
        BITES,
        /** Clamp with nothing over the limit: one pass. */
        CLAMP,
        /** Above the threshold, in an update of weights of the gradients' type by AdamW: one pass, and the update's. */
        BITES_ADAMW;

        /** What must be read and written. */
        long bytes(Shape shape) {
            return switch (this) {
                case NORM, DOES_NOT_BITE, CLAMP -> shape.bytes();
                case BITES -> 3 * shape.bytes();
                // Gradients twice, weights both ways, two float32 of state both ways.
                case BITES_ADAMW -> 4 * shape.bytes() + 16 * shape.elements();
            };
        }
    }

    private static final int BLOCK = 1 << 20;
    private static final Update ADAMW = Update.adamW(1e-5);

    private final List<DeviceBuffer> buffers = new ArrayList<>();
    private final GradientClipper clipper;
    private final CudaStream stream;
    private final double norm;
    private final double shrink;
    private double threshold;
    private @Nullable GradientClipper updating;

    /**
     * Allocates, fills and binds.
     *
     * @throws CudaException if the device has not so much memory; nothing of it is then kept
     */
    GpuTensors(Shape shape) {
        GradientClipperBuilder builder = GradientClipper.builder();
        try {
            for (Shape.Tensor tensor : shape.tensors()) builder.add(filled(tensor));
        } catch (CudaException e) {
            buffers.forEach(DeviceBuffer::close);
            throw e;
        }
        clipper = builder.build();
        stream = CudaStream.create();
        norm = clipper.globalNorm();
        threshold = norm;
        // A repeated clip would find its own result within the threshold. 16-bit products round back to what they were.
        boolean halves = shape.isHalves();
        shrink = halves ? 0 : 1e-5;
        if (halves) threshold = 0.9999 * norm;
    }

    private DeviceBuffer filled(Shape.Tensor tensor) {
        DeviceBuffer buffer = DeviceBuffer.allocate(tensor.dtype(), tensor.length());
        buffers.add(buffer);
        fill(buffer);
        return buffer;
    }

    /** Gives each gradient weights and their state, for the work that updates them. */
    void addWeights(Shape shape) {
        GradientClipperBuilder builder = GradientClipper.builder();
        int gradients = buffers.size();
        for (int i = 0; i < gradients; i++) {
            builder.add(buffers.get(i)).weights(filled(shape.tensors().get(i)));
        }
        updating = builder.build();
    }

    /** A block of values over and over. */
    private static void fill(DeviceBuffer buffer) {
        HostBuffer block = block(buffer.dtype(), Math.min(buffer.length(), BLOCK));
        for (long at = 0; at < buffer.length(); at += block.length()) {
            long part = Math.min(block.length(), buffer.length() - at);
            long address = buffer.address() + at * buffer.dtype().bytes();
            DeviceBuffer.wrap(address, part, buffer.dtype(), buffer)
                    .copyFrom(part == block.length() ? block : block(buffer.dtype(), part));
        }
    }

    private static HostBuffer block(DType dtype, long length) {
        HostBuffer block = HostBuffer.allocate(dtype, length);
        Elements.fill(block.memory(), dtype);
        return block;
    }

    /** Enqueues one call. */
    ClipResult enqueue(Work work) {
        return switch (work) {
            case NORM -> clipper.clipAsync(ClipRule.globalNorm(Double.POSITIVE_INFINITY), stream);
            case DOES_NOT_BITE -> clipper.clipByGlobalNormAsync(2 * norm, stream);
            case BITES -> {
                threshold *= 1 - shrink;
                yield clipper.clipByGlobalNormAsync(threshold, stream);
            }
            case CLAMP -> clipper.clipByValueAsync(100, stream);
            case BITES_ADAMW ->
                Objects.requireNonNull(updating, "call addWeights first")
                        .stepAsync(ADAMW, ClipRule.globalNorm(norm / 4), stream);
        };
    }

    void synchronize() {
        stream.synchronize();
    }

    /** Throws if a result is not what the work is named for. */
    static void check(Work work, ClipResult result) {
        boolean bites = work == Work.BITES || work == Work.BITES_ADAMW;
        if (result.clipped() != bites) throw new IllegalStateException(work + " gave " + result);
    }

    @Override
    public void close() {
        if (updating != null) updating.close();
        clipper.close();
        stream.close();
        buffers.forEach(DeviceBuffer::close);
    }
}
