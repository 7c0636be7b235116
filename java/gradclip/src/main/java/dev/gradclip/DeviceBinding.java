// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import dev.gradclip.internal.Cuda;
import dev.gradclip.internal.CudaPlan;
import dev.gradclip.internal.DeviceTable;
import dev.gradclip.internal.Overlaps;
import dev.gradclip.internal.RowException;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Tensors in the memory of one CUDA device, bound to a plan there. Rebinding writes the rows that changed and makes one call. */
final class DeviceBinding extends Binding {
    private final GradientBuffer[] shapes;
    private final int device;
    private final DeviceTable table;
    private final CudaPlan plan;
    private final long[] addresses;
    private @Nullable DeviceBuffer[] bound;
    private boolean holdsBuffers = true;
    private int tensors;
    private long elements;

    DeviceBinding(GradientClipperBuilder builder) {
        super(builder);
        shapes = builder.shapes.toArray(new GradientBuffer[0]);
        device = deviceOf(builder.bound);
        table = new DeviceTable(
                Arrays.stream(shapes).map(GradientBuffer::dtype).toArray(DType[]::new),
                Arrays.stream(shapes).mapToLong(GradientBuffer::length).toArray());
        bound = onDevice(builder.bound);
        addresses = retain(bound);
        try {
            for (int i = 0; i < addresses.length; i++) table.set(i, addresses[i]);
            plan = new CudaPlan(device, table);
        } catch (RuntimeException e) {
            release(bound);
            throw named(e);
        }
        for (int i = 0; i < bound.length; i++) if (bound[i] != null) cover(i);
    }

    CudaPlan plan() {
        return plan;
    }

    @Override
    int tensors() {
        return tensors;
    }

    @Override
    long elements() {
        return elements;
    }

    @Override
    void rebind(long[] to) {
        commit(to);
        letGo();
        for (int i = 0; i < to.length; i++) if (to[i] != 0) cover(i);
    }

    @Override
    void rebind(List<? extends @Nullable GradientBuffer> buffers) {
        @Nullable DeviceBuffer[] next = onDevice(buffers);
        long[] to = retain(next);
        try {
            commit(to);
        } catch (RuntimeException e) {
            release(next);
            throw e;
        }
        letGo();
        bound = next;
        holdsBuffers = true;
        for (int i = 0; i < next.length; i++) if (next[i] != null) cover(i);
    }

    @Override
    void rebind(float[] @Nullable [] arrays) {
        for (int i = 0; i < arrays.length; i++) if (arrays[i] != null) throw otherSide(i, "host", "device");
        rebind(new long[arrays.length]);
    }

    @Override
    void clear() {
        letGo();
    }

    @Override
    Runnable release() {
        return plan::close;
    }

    /** Binds the plan to the addresses, or throws and leaves it as it was. */
    private void commit(long[] to) {
        boolean changed = false;
        try {
            for (int i = 0; i < to.length; i++) {
                if (to[i] == addresses[i]) continue;
                requireNotCaptured(i);
                table.set(i, to[i]);
                changed = true;
            }
            if (changed) plan.rebind();
        } catch (RuntimeException e) {
            RuntimeException named = named(e);
            for (int i = 0; i < to.length; i++) table.set(i, addresses[i]);
            throw named;
        }
        System.arraycopy(to, 0, addresses, 0, to.length);
    }

    private void requireNotCaptured(int tensor) {
        if (plan.hasCaptures()) {
            throw new IllegalStateException(name(tensor) + " has moved, but a captured clip still works where it was; "
                    + "close the CapturedClip and its graph first, or keep gradients in place between replays");
        }
    }

    private void cover(int tensor) {
        tensors++;
        elements += shapes[tensor].length();
    }

    private void letGo() {
        if (holdsBuffers) {
            release(bound);
            Arrays.fill(bound, null);
        }
        holdsBuffers = false;
        tensors = 0;
        elements = 0;
    }

    /** What the addresses are, which stay until {@link #release}. */
    private static long[] retain(@Nullable DeviceBuffer[] buffers) {
        long[] addresses = new long[buffers.length];
        int held = 0;
        try {
            for (; held < buffers.length; held++) {
                DeviceBuffer buffer = buffers[held];
                if (buffer != null) addresses[held] = buffer.retain();
            }
            return addresses;
        } catch (IllegalStateException e) {
            release(Arrays.copyOf(buffers, held));
            throw e;
        }
    }

    private static void release(@Nullable DeviceBuffer[] buffers) {
        for (DeviceBuffer buffer : buffers) if (buffer != null) buffer.release();
    }

    /** With the tensor's name, where it is about a row of the table as it is now. */
    private RuntimeException named(RuntimeException e) {
        if (!(e instanceof RowException row)) return e;
        int other = table.overlapping(row.row());
        if (other < 0) return new IllegalArgumentException(name(row.row()) + " " + row.why(), e);
        return new IllegalArgumentException(
                Overlaps.message(name(Math.min(other, row.row())), name(Math.max(other, row.row()))), e);
    }

    /** The device that the buffers are on, else the current one. */
    private static int deviceOf(List<? extends @Nullable GradientBuffer> buffers) {
        for (GradientBuffer buffer : buffers) {
            if (buffer instanceof DeviceBuffer b && b.length() > 0) return b.device();
        }
        return Cuda.currentDevice();
    }

    private @Nullable DeviceBuffer[] onDevice(List<? extends @Nullable GradientBuffer> buffers) {
        @Nullable DeviceBuffer[] result = new DeviceBuffer[buffers.size()];
        for (int i = 0; i < result.length; i++) {
            GradientBuffer buffer = buffers.get(i);
            if (buffer == null) continue;
            if (buffer instanceof HostBuffer) throw otherSide(i, "host", "device");
            requireShape(i, shapes[i], buffer);
            DeviceBuffer next = (DeviceBuffer) buffer;
            if (next.device() != device && next.length() > 0) {
                throw new IllegalArgumentException(name(i) + " is on device " + next.device()
                        + ", but the clipper works on device " + device + "; each device needs a clipper of its own");
            }
            result[i] = next;
        }
        return result;
    }
}
