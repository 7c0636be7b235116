// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.measure;

import dev.gradclip.Backend;
import dev.gradclip.DType;
import dev.gradclip.DeviceBuffer;
import dev.gradclip.GradientBuffer;
import dev.gradclip.HostBuffer;
import java.nio.Buffer;
import java.util.ArrayList;
import java.util.List;

/** Gradients of one shape, with values, in host memory and for a device also there. */
public final class GradientSet implements AutoCloseable {
    private static final int LINE = 64;

    private final Shape shape;
    private final List<HostBuffer> host = new ArrayList<>();
    private final List<DeviceBuffer> device = new ArrayList<>();
    private long changed;
    private long touched;

    /** Allocates outside the heap; all is zero. */
    public GradientSet(Shape shape, Backend backend) {
        this.shape = shape;
        for (Shape.Tensor tensor : shape.tensors()) {
            host.add(HostBuffer.allocate(tensor.dtype(), tensor.length()));
            if (backend == Backend.CUDA) device.add(DeviceBuffer.allocate(tensor.dtype(), tensor.length()));
        }
    }

    private GradientSet(Shape shape) {
        this.shape = shape;
        for (Shape.Tensor tensor : shape.tensors()) host.add(array(tensor.dtype(), Math.toIntExact(tensor.length())));
    }

    /** Allocates arrays; all is zero. */
    public static GradientSet onHeap(Shape shape) {
        return new GradientSet(shape);
    }

    private static HostBuffer array(DType dtype, int length) {
        return switch (dtype) {
            case FLOAT64 -> HostBuffer.wrap(new double[length]);
            case FLOAT32 -> HostBuffer.wrap(new float[length]);
            case FLOAT16, BFLOAT16 -> HostBuffer.wrap(new short[length], dtype);
        };
    }

    /** Returns their types and lengths. */
    public Shape shape() {
        return shape;
    }

    /** Returns the buffers to bind. */
    public List<GradientBuffer> buffers() {
        return List.copyOf(device.isEmpty() ? host : device);
    }

    /**
     * Returns the host memory of one tensor.
     *
     * @throws IllegalArgumentException if it is more than one piece, above 1 GiB
     */
    public Buffer memory(int tensor) {
        List<Buffer> pieces = host.get(tensor).memory();
        if (pieces.size() == 1) return pieces.get(0);
        throw new IllegalArgumentException("tensor " + tensor + " of " + shape.name() + " has "
                + shape.tensors().get(tensor).bytes() + " bytes; 1 GiB at most, in one piece, can be shown");
    }

    /** Fills in values in [-1, 1) without a pattern that a cache or a predictor could use, the same ones each time. */
    public void ordinary() {
        Elements values = new Elements(1);
        for (HostBuffer buffer : host) {
            for (Buffer piece : buffer.memory()) values.fill(piece, buffer.dtype());
        }
        upload();
    }

    /** Makes one element in a hundred, the same ones each time, {@code value} or {@code -value}. */
    void outliers(float value) {
        Elements values = new Elements(2);
        changed = 0;
        touched = 0;
        for (HostBuffer buffer : host) {
            for (Buffer piece : buffer.memory()) outliers(values, piece, buffer.dtype(), value);
        }
        upload();
    }

    private void outliers(Elements values, Buffer piece, DType dtype, float value) {
        long before = -1;
        for (int i = 0; i < piece.limit(); i++) {
            int random = values.random();
            if ((random >>> 8) % 100 != 0) continue;
            Elements.put(piece, dtype, i, random < 0 ? -value : value);
            changed++;
            long line = (long) i * dtype.bytes() / LINE;
            if (line != before) touched += LINE;
            before = line;
        }
    }

    /** Returns how many elements the last {@link #outliers} changed. */
    long changed() {
        return changed;
    }

    /** Returns the bytes of the 64-byte lines that hold the changed elements. */
    public long touched() {
        return touched;
    }

    private void upload() {
        for (int i = 0; i < device.size(); i++) device.get(i).copyFrom(host.get(i));
    }

    @Override
    public void close() {
        device.forEach(DeviceBuffer::close);
    }
}
