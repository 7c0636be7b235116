// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import dev.gradclip.internal.CpuPlan;
import dev.gradclip.internal.Overlaps;
import dev.gradclip.internal.Piece;
import dev.gradclip.internal.RowException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** Tensors in host memory, bound to a plan on the CPU. */
final class HostBinding extends Binding {
    private final CpuPlan plan;
    private final HostBuffer[] shapes;

    /** The buffer each tensor is bound to; null where it is absent, or bound to one of {@link #addresses}. */
    private final @Nullable HostBuffer[] bound;

    /** The address each tensor is bound to, or 0. */
    private final long[] addresses;

    /** Where an Error ended a rebind, so that nobody knows which memory the plan has. */
    private final boolean[] torn;

    private final Overlaps.Scratch scratch;

    HostBinding(GradientClipperBuilder builder, Function<List<List<Piece>>, CpuPlan> planner) {
        super(builder);
        int entries = entries();
        shapes = new HostBuffer[entries];
        bound = new HostBuffer[entries];
        addresses = new long[entries];
        torn = new boolean[entries];
        scratch = new Overlaps.Scratch(entries);
        List<List<Piece>> pieces = new ArrayList<>(segments().all());
        for (int i = 0; i < entries; i++) {
            shapes[i] = ((HostBuffer) builder.shape(i)).shape();
            bound[i] = (HostBuffer) builder.bound(i);
            if (bound[i] != null) bound[i].requireLasting(name(i));
            addPieces(i, pieces);
        }
        refuseOverlaps(Arrays.asList(bound));
        try {
            plan = planner.apply(pieces);
        } catch (RowException e) {
            throw new IllegalArgumentException(name(segments().ownerOf(e.row())) + " " + e.why(), e);
        }
        for (int i = 0; i < entries; i++) bindPieces(i, bound[i]);
    }

    private void addPieces(int entry, List<List<Piece>> to) {
        HostBuffer shape = shapes[entry];
        int rows = rows(entry);
        if (rows == 1) {
            to.add(shape.pieces);
            return;
        }
        if (shape.pieces.size() != 1) {
            throw new IllegalArgumentException(name(entry) + " is bound in " + shape.pieces.size()
                    + " pieces; a tensor with rows is bound in one, or its rows as tensors of their own");
        }
        long length = shape.length() / rows;
        for (int row = 0; row < rows; row++) to.add(List.of(shape.pieces.get(0).slice(row * length, length)));
    }

    private int rows(int entry) {
        return segments().rows(entry < size() ? entry : entry - size());
    }

    private int firstSegment(int entry) {
        Segments segments = segments();
        return entry < size() ? segments.from(entry) : segments.gradients() + segments.from(entry - size());
    }

    CpuPlan plan() {
        return plan;
    }

    /** Type and length of a tensor, whether or not it has memory. */
    HostBuffer shape(int tensor) {
        return shapes[tensor];
    }

    boolean isPresent(int tensor) {
        return bound[tensor] != null || addresses[tensor] != 0;
    }

    @Override
    int tensors() {
        int tensors = 0;
        for (int i = 0; i < size(); i++) if (isPresent(i)) tensors++;
        return tensors;
    }

    @Override
    long elements() {
        long elements = 0;
        for (int i = 0; i < size(); i++) if (isPresent(i)) elements += shapes[i].length();
        return elements;
    }

    /** Throws where an Error ended a rebind. */
    void requireWhole() {
        for (int i = 0; i < torn.length; i++) {
            if (torn[i]) {
                throw new IllegalStateException("an error ended the rebind of " + name(i) + "; rebind it anew");
            }
        }
    }

    void requireWritable() {
        for (int i = 0; i < size(); i++) {
            HostBuffer buffer = bound[i];
            if (buffer != null && buffer.isReadOnly()) {
                throw new IllegalStateException(
                        name(i) + " is read-only, and this rule may write to it; measure it with "
                                + "globalNorm() or a threshold of infinity, or bind a writable buffer");
            }
        }
    }

    @Override
    void rebind(int from, long[] given) {
        long[] now = copied(given);
        boolean changed = false;
        for (int i = 0; i < now.length; i++) {
            int entry = from + i;
            if (isBound(entry, now[i])) continue;
            changed = true;
            if (shapes[entry].pieces.size() != 1) {
                throw new IllegalArgumentException(name(entry) + " is bound in " + shapes[entry].pieces.size()
                        + " pieces; rebind it with buffers");
            }
            if (HostBuffer.isBeyond(
                    now[i], shapes[entry].length() * shapes[entry].dtype().bytes())) {
                throw new IllegalArgumentException(
                        name(entry) + " at 0x" + Long.toHexString(now[i]) + " would reach beyond the address space");
            }
            if (now[i] != 0 && shapes[entry].length() > 0) Backend.NATIVE.require();
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
            plan.rebindAddress(segment + row, dtype, address + row * length * dtype.bytes(), length);
        }
    }

    @Override
    void rebind(int from, List<? extends @Nullable GradientBuffer> buffers) {
        List<@Nullable HostBuffer> hosts = new ArrayList<>(buffers.size());
        for (GradientBuffer buffer : buffers) {
            if (buffer instanceof DeviceBuffer) throw otherSide(from + hosts.size(), "device", "host");
            hosts.add((HostBuffer) buffer);
        }
        bindAll(from, hosts);
    }

    @Override
    void rebind(float[] @Nullable [] arrays) {
        List<@Nullable HostBuffer> hosts = new ArrayList<>(arrays.length);
        for (int i = 0; i < arrays.length; i++) {
            HostBuffer now = bound[i];
            float[] array = arrays[i];
            boolean same = now != null
                    && array != null
                    && now.pieces.size() == 1
                    && now.pieces.get(0).array() == array
                    && now.length() == array.length;
            if (array == null) hosts.add(null);
            else hosts.add(same ? now : HostBuffer.wrap(array));
        }
        bindAll(0, hosts);
    }

    private void bindAll(int from, List<? extends @Nullable HostBuffer> buffers) {
        boolean changed = false;
        for (int i = 0; i < buffers.size(); i++) {
            HostBuffer buffer = buffers.get(i);
            if (isBound(from + i, buffer)) continue;
            changed = true;
            if (buffer != null) requireShape(from + i, buffer);
        }
        if (!changed) return;
        refuseOverlaps(from, buffers);
        for (int i = 0; i < buffers.size(); i++) {
            int entry = from + i;
            if (isBound(entry, buffers.get(i))) continue;
            torn[entry] = true;
            bound[entry] = buffers.get(i);
            addresses[entry] = 0;
            bindPieces(entry, bound[entry]);
            torn[entry] = false;
        }
    }

    private boolean isBound(int tensor, long address) {
        return address == addresses[tensor] && bound[tensor] == null && !torn[tensor];
    }

    private boolean isBound(int tensor, @Nullable HostBuffer buffer) {
        return buffer == bound[tensor] && addresses[tensor] == 0 && !torn[tensor];
    }

    @Override
    void clear() {
        for (int i = 0; i < shapes.length; i++) {
            bound[i] = null;
            addresses[i] = 0;
            bindPieces(i, null);
        }
    }

    @Override
    Runnable release() {
        return () -> {};
    }

    private void requireShape(int tensor, HostBuffer buffer) {
        HostBuffer shape = shapes[tensor];
        requireShape(tensor, shape, buffer);
        buffer.requireLasting(name(tensor));
        boolean same = buffer.pieces.size() == shape.pieces.size();
        for (int i = 0; same && i < shape.pieces.size(); i++) {
            same = buffer.pieces.get(i).length() == shape.pieces.get(i).length();
        }
        if (!same) throw new IllegalArgumentException(name(tensor) + " was bound in pieces of other lengths");
    }

    private void bindPieces(int entry, @Nullable HostBuffer buffer) {
        HostBuffer shape = shapes[entry];
        int segment = firstSegment(entry);
        int rows = rows(entry);
        if (rows == 1) {
            for (int i = 0; i < shape.pieces.size(); i++) {
                plan.rebind(segment, i, buffer == null ? Piece.absent(shape.dtype()) : buffer.pieces.get(i));
            }
            return;
        }
        long length = shape.length() / rows;
        for (int row = 0; row < rows; row++) {
            Piece piece = buffer == null
                    ? Piece.absent(shape.dtype())
                    : buffer.pieces.get(0).slice(row * length, length);
            plan.rebind(segment + row, 0, piece);
        }
    }

    /** Entries from one on as they will be, among the others as they are. */
    private void refuseOverlaps(int from, List<? extends @Nullable HostBuffer> buffers) {
        List<@Nullable HostBuffer> all = new ArrayList<>(entries());
        for (int i = 0; i < entries(); i++) {
            boolean isNew = i >= from && i < from + buffers.size();
            all.add(isNew ? buffers.get(i - from) : atPresent(i));
        }
        refuseOverlaps(all);
    }

    private @Nullable HostBuffer atPresent(int entry) {
        if (addresses[entry] == 0) return bound[entry];
        return HostBuffer.wrap(addresses[entry], shapes[entry].length(), shapes[entry].dtype(), null);
    }

    private void refuseOverlaps(List<? extends @Nullable HostBuffer> buffers) {
        List<List<Piece>> pieces = new ArrayList<>(buffers.size());
        for (HostBuffer buffer : buffers) pieces.add(buffer == null ? List.of() : buffer.pieces);
        Overlaps.refuse(pieces, this::name);
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
        List<@Nullable HostBuffer> all = new ArrayList<>(now.length);
        for (int i = 0; i < now.length; i++) {
            HostBuffer shape = shapes[from + i];
            all.add(now[i] == 0 ? null : HostBuffer.wrap(now[i], shape.length(), shape.dtype(), null));
        }
        refuseOverlaps(from, all);
    }
}
