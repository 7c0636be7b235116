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
    private final HostBuffer[] shapes;
    private final int device;
    private final DeviceTable table;
    private final CudaPlan plan;
    private final int mostParts;
    private final long[] addresses;

    /** The buffers that entries are bound to, and hold on to; null where there is none, or an address alone. */
    private final @Nullable DeviceBuffer[] bound;

    private int tensors;
    private long elements;

    DeviceBinding(GradientClipperBuilder builder) {
        super(builder);
        int entries = entries();
        shapes = new HostBuffer[entries];
        DType[] dtypes = new DType[entries];
        long[] lengths = new long[entries];
        int[] rows = new int[entries];
        for (int i = 0; i < entries; i++) {
            GradientBuffer shape = builder.shape(i);
            shapes[i] = HostBuffer.shape(shape.dtype(), shape.length());
            dtypes[i] = shapes[i].dtype();
            lengths[i] = shapes[i].length();
            rows[i] = segments().rows(i < size() ? i : i - size());
        }
        List<@Nullable GradientBuffer> buffers = builder.allBound();
        device = deviceOf(buffers);
        table = new DeviceTable(dtypes, lengths, rows, size());
        mostParts = mostParts(builder);
        bound = onDevice(0, buffers);
        addresses = retain(bound);
        try {
            for (int i = 0; i < entries; i++) table.set(i, addresses[i]);
            plan = new CudaPlan(device, table, mostParts);
        } catch (RowException e) {
            release(bound);
            throw named(e);
        } catch (Throwable e) {
            release(bound);
            throw e;
        }
        for (int i = 0; i < size(); i++) if (bound[i] != null) cover(i);
    }

    /** A tensor each, and what lies between groups; none where no rule can have parts. */
    private int mostParts(GradientClipperBuilder builder) {
        int groups = builder.groups().size();
        return groups == 0 && segments().areTensors() ? 0 : size() + groups + 1;
    }

    int mostParts() {
        return mostParts;
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
    void rebind(int from, long[] given) {
        long[] to = copied(given);
        DeviceBuffer[] none = new DeviceBuffer[to.length];
        commit(from, to);
        bind(from, none);
    }

    @Override
    void rebind(int from, List<? extends @Nullable GradientBuffer> buffers) {
        @Nullable DeviceBuffer[] next = onDevice(from, buffers);
        requireCount(next.length);
        long[] to = retain(next);
        try {
            commit(from, to);
        } catch (Throwable e) {
            release(next);
            throw e;
        }
        bind(from, next);
    }

    @Override
    void rebind(float[] @Nullable [] arrays) {
        for (int i = 0; i < arrays.length; i++) if (arrays[i] != null) throw otherSide(i, "host", "device");
        rebind(0, new long[arrays.length]);
    }

    @Override
    void clear() {
        release(bound);
        Arrays.fill(bound, null);
        tensors = 0;
        elements = 0;
    }

    /** Holds on to buffers instead of those before; addresses are set already. */
    private void bind(int from, @Nullable DeviceBuffer[] next) {
        @Nullable DeviceBuffer[] before = Arrays.copyOfRange(bound, from, from + next.length);
        System.arraycopy(next, 0, bound, from, next.length);
        tensors = 0;
        elements = 0;
        for (int i = 0; i < size(); i++) if (addresses[i] != 0 || bound[i] != null) cover(i);
        release(before);
    }

    @Override
    Runnable release() {
        return plan::close;
    }

    /** Binds the plan to the addresses, or throws and leaves it as it was. */
    private void commit(int from, long[] to) {
        boolean changed = false;
        try {
            for (int i = 0; i < to.length; i++) {
                if (to[i] == addresses[from + i]) continue;
                requireNotCaptured(from + i);
                table.set(from + i, to[i]);
                changed = true;
            }
            if (changed) plan.rebind();
        } catch (RowException e) {
            RuntimeException named = named(e);
            restore(from, to.length);
            throw named;
        } catch (Throwable e) {
            restore(from, to.length);
            throw e;
        }
        System.arraycopy(to, 0, addresses, from, to.length);
    }

    private void restore(int from, int count) {
        for (int i = from; i < from + count; i++) table.set(i, addresses[i]);
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
        } catch (Throwable e) {
            for (int i = 0; i < held; i++) release(buffers[i]);
            throw e;
        }
    }

    private static void release(@Nullable DeviceBuffer[] buffers) {
        for (DeviceBuffer buffer : buffers) release(buffer);
    }

    private static void release(@Nullable DeviceBuffer buffer) {
        if (buffer != null) buffer.release();
    }

    /** With the tensor's name, where it is about a row of the table as it is now. */
    private RuntimeException named(RowException row) {
        int entry = table.entryOf(row.row());
        int other = table.overlapping(entry);
        if (other < 0) return new IllegalArgumentException(name(entry) + " " + row.why(), row);
        return new IllegalArgumentException(
                Overlaps.message(name(Math.min(other, entry)), name(Math.max(other, entry))), row);
    }

    /** The device that the buffers are on, else the current one. */
    private static int deviceOf(List<? extends @Nullable GradientBuffer> buffers) {
        for (GradientBuffer buffer : buffers) {
            if (buffer instanceof DeviceBuffer b && b.length() > 0) return b.device();
        }
        return Cuda.currentDevice();
    }

    private @Nullable DeviceBuffer[] onDevice(int from, List<? extends @Nullable GradientBuffer> buffers) {
        @Nullable DeviceBuffer[] result = new DeviceBuffer[buffers.size()];
        for (int i = 0; i < result.length; i++) {
            GradientBuffer buffer = buffers.get(i);
            if (buffer == null) continue;
            int entry = from + i;
            if (buffer instanceof HostBuffer) throw otherSide(entry, "host", "device");
            requireShape(entry, shapes[entry], buffer);
            DeviceBuffer next = (DeviceBuffer) buffer;
            if (next.device() != device && next.length() > 0) {
                throw new IllegalArgumentException(name(entry) + " is on device " + next.device()
                        + ", but the clipper works on device " + device + "; each device needs a clipper of its own");
            }
            result[i] = next;
        }
        return result;
    }
}
