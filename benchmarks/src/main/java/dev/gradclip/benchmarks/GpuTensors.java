// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import dev.gradclip.ClipResult;
import dev.gradclip.ClipRule;
import dev.gradclip.CudaStream;
import dev.gradclip.DType;
import dev.gradclip.DeviceBuffer;
import dev.gradclip.GradientClipper;
import dev.gradclip.GradientClipperBuilder;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/** The gradients of a case in device memory, bound once, and the calls that are timed. */
final class GpuTensors implements AutoCloseable {
    /** What is timed. */
    enum Work {
        /** The norm and the coefficient, nothing applied: one pass. */
        NORM,
        /** Below the threshold: one pass. */
        DOES_NOT_BITE,
        /** Above it: two passes. */
        BITES,
        /** Clamp with nothing over the limit: one pass. */
        CLAMP
    }

    private static final int BLOCK = 1 << 20;

    private final List<DeviceBuffer> buffers = new ArrayList<>();
    private final GradientClipper clipper;
    private final CudaStream stream;
    private final double norm;
    private final double shrink;
    private double threshold;

    GpuTensors(GpuCase shape) {
        GradientClipperBuilder builder = GradientClipper.builder();
        for (GpuCase.Tensor tensor : shape.tensors()) {
            DeviceBuffer buffer = DeviceBuffer.allocate(tensor.dtype(), tensor.length());
            buffers.add(buffer);
            fill(buffer);
            builder.add(buffer);
        }
        clipper = builder.build();
        stream = CudaStream.create();
        norm = clipper.globalNorm();
        threshold = norm;
        // A repeated clip would find its own result within the threshold. 16-bit products round back to what they were.
        boolean halves = shape.tensors().stream().allMatch(t -> t.dtype().bytes() == 2);
        shrink = halves ? 0 : 1e-5;
        if (halves) threshold = 0.9999 * norm;
    }

    /** A block of random values over and over. */
    private static void fill(DeviceBuffer buffer) {
        int count = (int) Math.min(buffer.length(), BLOCK);
        Random random = new Random(1);
        float[] floats = new float[count];
        short[] halves = new short[count];
        for (int i = 0; i < count; i++) {
            floats[i] = (float) random.nextGaussian();
            halves[i] = (short) (Float.floatToRawIntBits(floats[i]) >>> 16);
        }
        for (long at = 0; at < buffer.length(); at += count) {
            long part = Math.min(count, buffer.length() - at);
            long address = buffer.address() + at * buffer.dtype().bytes();
            DeviceBuffer to = DeviceBuffer.wrap(address, part, buffer.dtype(), buffer);
            if (buffer.dtype() == DType.FLOAT32)
                to.copyFrom(part == count ? floats : java.util.Arrays.copyOf(floats, (int) part));
            else to.copyFrom(part == count ? halves : java.util.Arrays.copyOf(halves, (int) part));
        }
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
        };
    }

    void synchronize() {
        stream.synchronize();
    }

    /** Whether a result is what the work is named for. */
    static void check(Work work, ClipResult result) {
        if (result.clipped() != (work == Work.BITES)) throw new IllegalStateException(work + " gave " + result);
    }

    @Override
    public void close() {
        clipper.close();
        stream.close();
        buffers.forEach(DeviceBuffer::close);
    }
}
