// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.measure;

import dev.gradclip.Backend;
import dev.gradclip.DeviceBuffer;
import dev.gradclip.GradientBuffer;
import dev.gradclip.HostBuffer;
import java.nio.Buffer;
import java.nio.FloatBuffer;
import java.nio.ShortBuffer;
import java.util.ArrayList;
import java.util.List;

/** Gradients of one shape and what is in them: in host memory outside the heap, for a device also there. */
public final class GradientSet implements AutoCloseable {
    private static final int LINE = 64;

    private final Shape shape;
    private final List<HostBuffer> host = new ArrayList<>();
    private final List<DeviceBuffer> device = new ArrayList<>();
    private int state;
    private long changed;
    private long touched;

    /** Allocates; all is zero. */
    public GradientSet(Shape shape, Backend backend) {
        this.shape = shape;
        for (int i = 0; i < shape.tensors(); i++) {
            host.add(HostBuffer.allocate(shape.dtype(), shape.length()));
            if (backend == Backend.CUDA) device.add(DeviceBuffer.allocate(shape.dtype(), shape.length()));
        }
    }

    /** What they are. */
    public Shape shape() {
        return shape;
    }

    /** What to bind. */
    public List<GradientBuffer> buffers() {
        return List.copyOf(device.isEmpty() ? host : device);
    }

    /** Values in [-1, 1) without a pattern that a cache or a predictor could use; the same ones each time. */
    public void ordinary() {
        state = 1;
        for (HostBuffer buffer : host) for (Buffer piece : buffer.memory()) ordinary(piece);
        upload();
    }

    private void ordinary(Buffer piece) {
        for (int i = 0; i < piece.limit(); i++) put(piece, i, random() * 0x1p-31f);
    }

    /** Makes one element in a hundred, the same ones each time, {@code value} or {@code -value}. */
    void outliers(float value) {
        state = 2;
        changed = 0;
        touched = 0;
        for (HostBuffer buffer : host) for (Buffer piece : buffer.memory()) outliers(piece, value);
        upload();
    }

    private void outliers(Buffer piece, float value) {
        long before = -1;
        for (int i = 0; i < piece.limit(); i++) {
            int random = random();
            if ((random >>> 8) % 100 != 0) continue;
            put(piece, i, random < 0 ? -value : value);
            changed++;
            long line = (long) i * shape.dtype().bytes() / LINE;
            if (line != before) touched += LINE;
            before = line;
        }
    }

    /** How many the last {@link #outliers} changed. */
    long changed() {
        return changed;
    }

    /** Bytes of the 64-byte lines that they are in. */
    public long touched() {
        return touched;
    }

    private int random() {
        state = state * 1_664_525 + 1_013_904_223;
        return state;
    }

    private void put(Buffer piece, int index, float value) {
        if (piece instanceof FloatBuffer floats) floats.put(index, value);
        else if (piece instanceof ShortBuffer shorts)
            shorts.put(index, (short) (Float.floatToRawIntBits(value) >>> 16));
        else throw new IllegalStateException("no memory to show: " + piece);
    }

    private void upload() {
        for (int i = 0; i < device.size(); i++) device.get(i).copyFrom(host.get(i));
    }

    @Override
    public void close() {
        device.forEach(DeviceBuffer::close);
    }
}
