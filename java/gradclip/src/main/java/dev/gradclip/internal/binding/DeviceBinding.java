// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.binding;

import dev.gradclip.DType;
import dev.gradclip.internal.cuda.CudaPartials;
import dev.gradclip.internal.cuda.CudaPieceTable;
import dev.gradclip.internal.cuda.CudaPlan;
import dev.gradclip.internal.jni.NativeCuda;
import dev.gradclip.internal.jni.UnboundPieceException;
import dev.gradclip.internal.memory.DeviceMemory;
import dev.gradclip.internal.memory.HostMemory;
import dev.gradclip.internal.memory.Overlaps;
import dev.gradclip.internal.memory.Strided;
import dev.gradclip.internal.memory.TensorMemory;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Tensors in the memory of one CUDA device, bound to a {@link CudaPlan}. A rebind writes the table's entries that
 * changed and makes one native call.
 */
public final class DeviceBinding extends Binding {
    /** Where memory without elements lies, for an address of 0 would make its tensor absent. */
    private static final long NOWHERE = 64;

    private final TensorMemory[] shapes;
    private final int device;
    private final CudaPieceTable table;
    private final CudaPlan plan;
    private final int mostParts;
    private final boolean isOfRanks;
    private final long[] addresses;

    /** The memory of each entry, retained while it is bound; null if the entry is absent or bound to an address. */
    private final @Nullable DeviceMemory[] bound;

    private int tensors;
    private long elements;

    /**
     * Binds the tensors to a plan on the device of the first tensor that has memory.
     *
     * @param isOfRanks true if other ranks hold parts or copies of them, so that each segment may get a coefficient
     *     that is not decided here
     */
    public DeviceBinding(TensorList tensorList, boolean isOfRanks) {
        super(tensorList);
        this.isOfRanks = isOfRanks;
        int entries = entries();
        shapes = new TensorMemory[entries];
        DType[] dtypes = new DType[entries];
        long[] lengths = new long[entries];
        int[] rows = new int[entries];
        @Nullable Strided[] strided = new Strided[entries];
        for (int i = 0; i < entries; i++) {
            TensorMemory shape = tensorList.shapes().get(i);
            // The given shape may refer to memory, which would then stay reachable.
            shapes[i] = HostMemory.shape(shape.dtype(), shape.length());
            dtypes[i] = shape.dtype();
            lengths[i] = shape.length();
            rows[i] = rows(i);
            strided[i] = strided(i);
        }
        @Nullable TensorMemory[] memory = tensorList.memory().toArray(new TensorMemory[0]);
        device = deviceOf(memory);
        table = new CudaPieceTable(dtypes, lengths, rows, strided, size());
        mostParts = mostParts(tensorList.groups());
        bound = onDevice(0, memory);
        addresses = retain(bound);
        try {
            for (int i = 0; i < entries; i++) table.set(i, addresses[i]);
            plan = new CudaPlan(device, table, mostParts);
        } catch (UnboundPieceException e) {
            release(bound);
            throw named(e);
        } catch (Throwable e) {
            release(bound);
            throw e;
        }
        for (int i = 0; i < size(); i++) if (bound[i] != null) cover(i);
    }

    /** One part for each tensor and for each gap between groups, or for each segment of ranks. */
    private int mostParts(int groups) {
        int ofRule = size() + groups + 1;
        return isOfRanks ? Math.max(ofRule, segments().gradients()) : ofRule;
    }

    /** Returns true if there is room for a coefficient of each segment that ranks decided. */
    public boolean isOfRanks() {
        return isOfRanks;
    }

    /** The largest number of parts that a rule for these tensors can have. */
    public int mostParts() {
        return mostParts;
    }

    public CudaPlan plan() {
        return plan;
    }

    /** Returns room for the partials of the plan. */
    public CudaPartials partials() {
        return new CudaPartials(table);
    }

    public boolean isPresent(int tensor) {
        return addresses[tensor] != 0;
    }

    /** The type of a gradient's weights. */
    public DType weightsType(int tensor) {
        return shapes[size() + tensor].dtype();
    }

    /** The number of elements that a gradient was bound with. */
    public long length(int tensor) {
        return shapes[tensor].length();
    }

    /**
     * Throws where an update can't write the weights of a gradient that is present.
     *
     * @throws IllegalStateException if a gradient has no weights
     * @throws IllegalArgumentException if their types do not go together
     */
    public void requireUpdatable() {
        if (size() > 0 && !segments().hasWeights()) throw noWeights(0);
        for (int i = 0; i < size(); i++) {
            if (addresses[i] == 0 || shapes[i].length() == 0) continue;
            requireContiguous(i);
            int weights = size() + i;
            if (addresses[weights] == 0) throw noWeights(i);
            if ((shapes[i].dtype() == DType.FLOAT64) != (shapes[weights].dtype() == DType.FLOAT64)) {
                throw new IllegalArgumentException(name(i) + " is " + shapes[i].dtype() + " and its weights are "
                        + shapes[weights].dtype() + "; an update takes FLOAT64 for both or for neither");
            }
        }
    }

    private IllegalStateException noWeights(int tensor) {
        return new IllegalStateException(name(tensor)
                + " has no weights to update; bind them with builder().add(name, gradient).weights(weights)");
    }

    @Override
    public int tensors() {
        return tensors;
    }

    @Override
    public long elements() {
        return elements;
    }

    @Override
    public void rebind(int from, long[] given) {
        long[] to = copied(given);
        DeviceMemory[] none = new DeviceMemory[to.length];
        commit(from, to);
        bind(from, none);
    }

    @Override
    public void rebind(int from, @Nullable TensorMemory[] given) {
        @Nullable DeviceMemory[] next = onDevice(from, given);
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
    public void rebind(float[] @Nullable [] arrays) {
        for (int i = 0; i < arrays.length; i++) if (arrays[i] != null) throw otherSide(i, "host", "device");
        rebind(0, new long[arrays.length]);
    }

    @Override
    public void clear() {
        release(bound);
        Arrays.fill(bound, null);
        tensors = 0;
        elements = 0;
    }

    /** Keeps the retained memory of the entries and releases what they had before; their addresses are set already. */
    private void bind(int from, @Nullable DeviceMemory[] next) {
        @Nullable DeviceMemory[] before = Arrays.copyOfRange(bound, from, from + next.length);
        System.arraycopy(next, 0, bound, from, next.length);
        tensors = 0;
        elements = 0;
        for (int i = 0; i < size(); i++) if (addresses[i] != 0) cover(i);
        release(before);
    }

    @Override
    public Runnable release() {
        return plan::close;
    }

    /** Binds the plan to the addresses, or throws and leaves the plan as it was. */
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
        } catch (UnboundPieceException e) {
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
            throw new IllegalStateException(
                    name(tensor) + " has moved, but a captured clip or step still works where it "
                            + "was; close it and its graph first, or keep gradients in place between replays");
        }
    }

    private void cover(int tensor) {
        tensors++;
        elements += shapes[tensor].length();
    }

    /** Retains the memory until {@link #release}; returns the addresses. */
    private static long[] retain(@Nullable DeviceMemory[] buffers) {
        long[] addresses = new long[buffers.length];
        int held = 0;
        try {
            for (; held < buffers.length; held++) {
                DeviceMemory buffer = buffers[held];
                if (buffer == null) continue;
                long address = buffer.retain();
                addresses[held] = buffer.length() == 0 ? NOWHERE : address;
            }
            return addresses;
        } catch (Throwable e) {
            for (int i = 0; i < held; i++) release(buffers[i]);
            throw e;
        }
    }

    private static void release(@Nullable DeviceMemory[] buffers) {
        for (DeviceMemory buffer : buffers) release(buffer);
    }

    private static void release(@Nullable DeviceMemory buffer) {
        if (buffer != null) buffer.release();
    }

    /** Makes an exception that names the tensor; to be called while the table still has the refused address. */
    private RuntimeException named(UnboundPieceException e) {
        int entry = table.entryOf(e.piece());
        int other = table.overlapping(entry);
        if (other < 0) return new IllegalArgumentException(name(entry) + " " + e.why(), e);
        return new IllegalArgumentException(
                Overlaps.message(name(Math.min(other, entry)), name(Math.max(other, entry))), e);
    }

    /** Returns the device of the first memory that is not empty, else the current device. */
    private static int deviceOf(@Nullable TensorMemory[] given) {
        for (TensorMemory memory : given) {
            if (memory instanceof DeviceMemory b && b.length() > 0) return b.device();
        }
        return NativeCuda.currentDevice();
    }

    @Override
    boolean fits(int tensor, TensorMemory memory) {
        TensorMemory shape = shapes[tensor];
        return memory instanceof DeviceMemory on
                && (on.device() == device || on.length() == 0)
                && on.dtype() == shape.dtype()
                && on.length() == shape.length();
    }

    private @Nullable DeviceMemory[] onDevice(int from, @Nullable TensorMemory[] given) {
        @Nullable DeviceMemory[] result = new DeviceMemory[given.length];
        for (int i = 0; i < result.length; i++) {
            TensorMemory memory = given[i];
            if (memory == null) continue;
            int entry = from + i;
            if (memory instanceof HostMemory) throw otherSide(entry, "host", "device");
            requireShape(entry, shapes[entry], memory);
            DeviceMemory next = (DeviceMemory) memory;
            if (next.device() != device && next.length() > 0) {
                throw new IllegalArgumentException(name(entry) + " is on device " + next.device()
                        + ", but the clipper works on device " + device + "; each device needs a clipper of its own");
            }
            result[i] = next;
        }
        return result;
    }
}
