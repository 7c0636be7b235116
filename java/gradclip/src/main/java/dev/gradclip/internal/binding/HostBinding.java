// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.binding;

import dev.gradclip.DType;
import dev.gradclip.internal.cpu.CpuPlan;
import dev.gradclip.internal.jni.UnboundPieceException;
import dev.gradclip.internal.memory.DeviceMemory;
import dev.gradclip.internal.memory.HostMemory;
import dev.gradclip.internal.memory.Overlaps;
import dev.gradclip.internal.memory.Piece;
import dev.gradclip.internal.memory.Strided;
import dev.gradclip.internal.memory.TensorMemory;
import dev.gradclip.internal.reduce.SegmentLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;
import java.util.function.IntFunction;
import org.jspecify.annotations.Nullable;

/** Tensors in host memory, bound to a {@link CpuPlan}. */
public final class HostBinding extends Binding {
    private final CpuPlan plan;
    private final HostMemory[] shapes;

    /** The memory of each entry; null if the entry is absent or bound to one of {@link #addresses}. */
    private final @Nullable HostMemory[] bound;

    /** The address that each entry is bound to; 0 if it is absent or bound to memory. */
    private final long[] addresses;

    /** True for each entry whose rebind an Error ended, which leaves the plan's memory for it unknown. */
    private final boolean[] torn;

    private final Overlaps.Scratch scratch;

    /** Throws if the backend cannot read memory by its address. */
    private final Runnable requireAddresses;

    /**
     * Binds the tensors to a plan.
     *
     * @param planner makes the plan from the pieces of each segment
     * @param requireAddresses called before an address is bound; throws if addresses cannot be read
     */
    public HostBinding(TensorList tensors, Function<List<List<Piece>>, CpuPlan> planner, Runnable requireAddresses) {
        super(tensors);
        this.requireAddresses = requireAddresses;
        int entries = entries();
        shapes = new HostMemory[entries];
        bound = new HostMemory[entries];
        addresses = new long[entries];
        torn = new boolean[entries];
        scratch = new Overlaps.Scratch(entries);
        List<List<Piece>> pieces = new ArrayList<>(segments().all());
        for (int i = 0; i < entries; i++) {
            shapes[i] = ((HostMemory) tensors.shapes().get(i)).shape();
            bound[i] = (HostMemory) tensors.memory().get(i);
            if (bound[i] != null) bound[i].requireLasting(name(i));
            addPieces(i, pieces);
        }
        refuseOverlaps(Arrays.asList(bound));
        try {
            plan = planner.apply(pieces);
        } catch (UnboundPieceException e) {
            throw new IllegalArgumentException(name(segments().ownerOf(e.piece())) + " " + e.why(), e);
        }
        for (int i = 0; i < entries; i++) bindPieces(i, bound[i]);
    }

    private void addPieces(int entry, List<List<Piece>> to) {
        HostMemory shape = shapes[entry];
        int rows = rows(entry);
        if (rows == 1) {
            to.add(shape.pieces());
            return;
        }
        if (shape.pieces().size() != 1) {
            throw new IllegalArgumentException(
                    name(entry) + " is bound in " + shape.pieces().size()
                            + " pieces; a tensor with rows is bound in one, or its rows as tensors of their own");
        }
        for (int row = 0; row < rows; row++)
            to.add(List.of(rowOf(entry, shape.pieces().get(0), row)));
    }

    /** Returns one row of an entry that is bound in one piece. */
    private Piece rowOf(int entry, Piece piece, int row) {
        long length = shapes[entry].length() / rows(entry);
        long first = firstElement(entry, row);
        Strided how = strided(entry);
        return how == null ? piece.slice(first, length) : piece.unit(first, length, how);
    }

    private int firstSegment(int entry) {
        SegmentLayout segments = segments();
        return entry < size() ? segments.from(entry) : segments.gradients() + segments.from(entry - size());
    }

    public CpuPlan plan() {
        return plan;
    }

    /** The type and length of a tensor, present or absent. */
    public HostMemory shape(int tensor) {
        return shapes[tensor];
    }

    public boolean isPresent(int tensor) {
        return bound[tensor] != null || addresses[tensor] != 0;
    }

    @Override
    public int tensors() {
        int tensors = 0;
        for (int i = 0; i < size(); i++) if (isPresent(i)) tensors++;
        return tensors;
    }

    @Override
    public long elements() {
        long elements = 0;
        for (int i = 0; i < size(); i++) if (isPresent(i)) elements += shapes[i].length();
        return elements;
    }

    /** Throws if an Error ended a rebind. */
    public void requireWhole() {
        for (int i = 0; i < torn.length; i++) {
            if (torn[i]) {
                throw new IllegalStateException("an error ended the rebind of " + name(i) + "; rebind it anew");
            }
        }
    }

    public void requireWritable() {
        for (int i = 0; i < size(); i++) {
            HostMemory buffer = bound[i];
            if (buffer != null && buffer.isReadOnly()) {
                throw new IllegalStateException(
                        name(i) + " is read-only, and this rule may write to it; measure it with "
                                + "globalNorm() or a threshold of infinity, or bind a writable buffer");
            }
        }
    }

    @Override
    public void rebind(int from, long[] given) {
        long[] now = copied(given);
        boolean changed = false;
        for (int i = 0; i < now.length; i++) {
            int entry = from + i;
            if (isBound(entry, now[i])) continue;
            changed = true;
            if (shapes[entry].pieces().size() != 1) {
                throw new IllegalArgumentException(name(entry) + " is bound in "
                        + shapes[entry].pieces().size() + " pieces; rebind it with buffers");
            }
            if (HostMemory.isBeyond(
                    now[i], shapes[entry].length() * shapes[entry].dtype().bytes())) {
                throw new IllegalArgumentException(
                        name(entry) + " at 0x" + Long.toHexString(now[i]) + " would reach beyond the address space");
            }
            if (now[i] != 0 && shapes[entry].length() > 0) requireAddresses.run();
        }
        if (!changed) return;
        refuseOverlaps(from, now);
        for (int i = 0; i < now.length; i++) {
            int entry = from + i;
            if (isBound(entry, now[i])) continue;
            torn[entry] = true;
            bound[entry] = null;
            addresses[entry] = now[i];
            if (now[i] == 0) bindPieces(entry, null);
            else bindAddress(entry, now[i]);
            torn[entry] = false;
        }
    }

    private void bindAddress(int entry, long address) {
        DType dtype = shapes[entry].dtype();
        int rows = rows(entry);
        int segment = firstSegment(entry);
        long length = shapes[entry].length() / rows;
        for (int row = 0; row < rows; row++) {
            plan.rebindAddress(segment + row, dtype, address + firstElement(entry, row) * dtype.bytes(), length);
        }
    }

    @Override
    public void rebind(int from, @Nullable TensorMemory[] given) {
        boolean changed = false;
        for (int i = 0; i < given.length; i++) {
            if (given[i] instanceof DeviceMemory) throw otherSide(from + i, "device", "host");
        }
        for (int i = 0; i < given.length; i++) {
            HostMemory memory = (HostMemory) given[i];
            if (isBound(from + i, memory)) continue;
            changed = true;
            if (memory != null) requireShape(from + i, memory);
        }
        if (!changed) return;
        refuseOverlaps(from, given);
        for (int i = 0; i < given.length; i++) {
            int entry = from + i;
            HostMemory memory = (HostMemory) given[i];
            if (isBound(entry, memory)) continue;
            torn[entry] = true;
            bound[entry] = memory;
            addresses[entry] = 0;
            bindPieces(entry, memory);
            torn[entry] = false;
        }
    }

    @Override
    public void rebind(float[] @Nullable [] arrays) {
        @Nullable TensorMemory[] hosts = new TensorMemory[arrays.length];
        for (int i = 0; i < arrays.length; i++) {
            HostMemory now = bound[i];
            float[] array = arrays[i];
            if (array == null) continue;
            boolean same = now != null
                    && now.pieces().size() == 1
                    && now.pieces().get(0).array() == array
                    && now.length() == array.length;
            hosts[i] = same ? now : new HostMemory(Piece.ofArray(DType.FLOAT32, array, 0, array.length));
        }
        rebind(0, hosts);
    }

    /** Throws where no tensor has weights. */
    public void requireWeights() {
        if (size() > 0 && !segments().hasWeights()) throw noWeights(0);
    }

    private IllegalStateException noWeights(int tensor) {
        return new IllegalStateException(name(tensor)
                + " has no weights to update; bind them with builder().add(name, gradient).weights(weights)");
    }

    /** Throws where a gradient that is present has no weights that can be updated. */
    public void requireUpdatable() {
        for (int i = 0; i < size(); i++) {
            if (!isPresent(i) || shapes[i].length() == 0) continue;
            requireContiguous(i);
            int weights = size() + i;
            if (weights >= entries() || !isPresent(weights)) throw noWeights(i);
            HostMemory memory = bound[weights];
            if (memory != null && memory.isReadOnly()) {
                throw new IllegalStateException(name(weights) + " is read-only, and an update writes to it");
            }
            if ((shapes[i].dtype() == DType.FLOAT64) != (shapes[weights].dtype() == DType.FLOAT64)) {
                throw new IllegalArgumentException(name(i) + " is " + shapes[i].dtype() + " and its weights are "
                        + shapes[weights].dtype() + "; an update takes FLOAT64 for both or for neither");
            }
            if (!shapes[weights].hasPiecesOf(shapes[i])) {
                throw new IllegalArgumentException(name(weights)
                        + " is bound in pieces of other lengths than its gradient; bind both in the same pieces");
            }
        }
    }

    @Override
    boolean fits(int tensor, TensorMemory memory) {
        HostMemory shape = shapes[tensor];
        return memory instanceof HostMemory host && host.dtype() == shape.dtype() && host.hasPiecesOf(shape);
    }

    private boolean isBound(int tensor, long address) {
        return address == addresses[tensor] && bound[tensor] == null && !torn[tensor];
    }

    private boolean isBound(int tensor, @Nullable HostMemory buffer) {
        return buffer == bound[tensor] && addresses[tensor] == 0 && !torn[tensor];
    }

    @Override
    public void clear() {
        for (int i = 0; i < shapes.length; i++) {
            bound[i] = null;
            addresses[i] = 0;
            bindPieces(i, null);
        }
    }

    private void requireShape(int tensor, HostMemory memory) {
        HostMemory shape = shapes[tensor];
        requireShape(tensor, shape, memory);
        memory.requireLasting(name(tensor));
        if (!memory.hasPiecesOf(shape)) {
            throw new IllegalArgumentException(name(tensor) + " was bound in pieces of other lengths");
        }
    }

    private void bindPieces(int entry, @Nullable HostMemory buffer) {
        HostMemory shape = shapes[entry];
        Piece absent = Piece.absent(shape.dtype());
        int segment = firstSegment(entry);
        int rows = rows(entry);
        if (rows == 1) {
            for (int i = 0; i < shape.pieces().size(); i++) {
                plan.rebind(
                        segment, i, buffer == null ? absent : buffer.pieces().get(i));
            }
            return;
        }
        for (int row = 0; row < rows; row++) {
            Piece piece = buffer == null ? absent : rowOf(entry, buffer.pieces().get(0), row);
            plan.rebind(segment + row, 0, piece);
        }
    }

    /** Throws if the new memory of the entries that begin with {@code from} would overlap any other. */
    private void refuseOverlaps(int from, @Nullable TensorMemory[] given) {
        List<@Nullable HostMemory> all = new ArrayList<>(entries());
        for (int i = 0; i < entries(); i++) {
            boolean isNew = i >= from && i < from + given.length;
            all.add(isNew ? (HostMemory) given[i - from] : atPresent(i));
        }
        refuseOverlaps(all);
    }

    private @Nullable HostMemory atPresent(int entry) {
        if (addresses[entry] == 0) return bound[entry];
        return HostMemory.ofAddress(shapes[entry].dtype(), addresses[entry], shapes[entry].length(), null);
    }

    private void refuseOverlaps(List<? extends @Nullable HostMemory> buffers) {
        List<List<Piece>> pieces = new ArrayList<>(buffers.size());
        for (HostMemory buffer : buffers) pieces.add(buffer == null ? List.of() : buffer.pieces());
        Overlaps.refuse(pieces, new IntFunction<>() {
            @Override
            public String apply(int tensor) {
                return name(tensor);
            }
        });
    }

    private void refuseOverlaps(int from, long[] now) {
        boolean othersAreAddresses = true;
        scratch.clear();
        for (int i = 0; i < entries(); i++) {
            boolean isNew = i >= from && i < from + now.length;
            long address = isNew ? now[i - from] : addresses[i];
            if (address != 0)
                scratch.add(address, shapes[i].length() * shapes[i].dtype().bytes());
            othersAreAddresses &= isNew || bound[i] == null;
        }
        if (othersAreAddresses && !scratch.hasOverlap()) return;
        @Nullable TensorMemory[] all = new TensorMemory[now.length];
        for (int i = 0; i < now.length; i++) {
            HostMemory shape = shapes[from + i];
            if (now[i] != 0) all[i] = HostMemory.ofAddress(shape.dtype(), now[i], shape.length(), null);
        }
        refuseOverlaps(from, all);
    }
}
