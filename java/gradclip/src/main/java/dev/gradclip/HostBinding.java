// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import dev.gradclip.internal.CpuPlan;
import dev.gradclip.internal.Overlaps;
import dev.gradclip.internal.Piece;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** Tensors in host memory, bound to a plan on the CPU. */
final class HostBinding extends Binding {
    private final CpuPlan plan;
    private final HostBuffer[] shapes;
    private final @Nullable HostBuffer[] bound;

    HostBinding(GradientClipperBuilder builder, Function<List<List<Piece>>, CpuPlan> planner) {
        super(builder);
        int tensors = size();
        shapes = new HostBuffer[tensors];
        bound = new HostBuffer[tensors];
        List<List<Piece>> segments = new ArrayList<>(tensors);
        for (int i = 0; i < tensors; i++) {
            shapes[i] = (HostBuffer) builder.shapes.get(i);
            bound[i] = (HostBuffer) builder.bound.get(i);
            segments.add(shapes[i].pieces);
        }
        refuseOverlaps(Arrays.asList(bound));
        plan = planner.apply(segments);
        for (int i = 0; i < tensors; i++) bindPieces(i, bound[i]);
    }

    CpuPlan plan() {
        return plan;
    }

    @Nullable
    HostBuffer bound(int tensor) {
        return bound[tensor];
    }

    @Override
    int tensors() {
        int tensors = 0;
        for (HostBuffer buffer : bound) if (buffer != null) tensors++;
        return tensors;
    }

    @Override
    long elements() {
        long elements = 0;
        for (HostBuffer buffer : bound) if (buffer != null) elements += buffer.length();
        return elements;
    }

    void requireWritable() {
        for (int i = 0; i < bound.length; i++) {
            HostBuffer buffer = bound[i];
            if (buffer != null && buffer.isReadOnly()) {
                throw new IllegalStateException(
                        name(i) + " is read-only, and this rule may write to it; measure it with "
                                + "globalNorm() or a threshold of infinity, or bind a writable buffer");
            }
        }
    }

    @Override
    void rebind(long[] addresses) {
        List<@Nullable HostBuffer> buffers = new ArrayList<>(addresses.length);
        for (int i = 0; i < addresses.length; i++) {
            HostBuffer shape = shapes[i];
            if (shape.pieces.size() != 1) {
                throw new IllegalArgumentException(
                        name(i) + " is bound in " + shape.pieces.size() + " pieces; rebind it with buffers");
            }
            long address = addresses[i];
            HostBuffer now = bound[i];
            boolean same = now != null && now.pieces.get(0).address() == address;
            if (address == 0) buffers.add(null);
            else buffers.add(same ? now : HostBuffer.wrap(address, shape.length(), shape.dtype(), null));
        }
        bindAll(buffers);
    }

    @Override
    void rebind(List<? extends @Nullable GradientBuffer> buffers) {
        List<@Nullable HostBuffer> hosts = new ArrayList<>(buffers.size());
        for (GradientBuffer buffer : buffers) {
            if (buffer instanceof DeviceBuffer) throw otherSide(hosts.size(), "device", "host");
            hosts.add((HostBuffer) buffer);
        }
        bindAll(hosts);
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
        bindAll(hosts);
    }

    private void bindAll(List<? extends @Nullable HostBuffer> buffers) {
        boolean changed = false;
        for (int i = 0; i < shapes.length; i++) {
            HostBuffer buffer = buffers.get(i);
            if (buffer == bound[i]) continue;
            changed = true;
            if (buffer != null) requireShape(i, buffer);
        }
        if (!changed) return;
        refuseOverlaps(buffers);
        for (int i = 0; i < shapes.length; i++) {
            if (buffers.get(i) == bound[i]) continue;
            bound[i] = buffers.get(i);
            bindPieces(i, bound[i]);
        }
    }

    @Override
    void clear() {
        for (int i = 0; i < shapes.length; i++) {
            bound[i] = null;
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
        boolean same = buffer.pieces.size() == shape.pieces.size();
        for (int i = 0; same && i < shape.pieces.size(); i++) {
            same = buffer.pieces.get(i).length() == shape.pieces.get(i).length();
        }
        if (!same) throw new IllegalArgumentException(name(tensor) + " was bound in pieces of other lengths");
    }

    private void bindPieces(int tensor, @Nullable HostBuffer buffer) {
        HostBuffer shape = shapes[tensor];
        for (int i = 0; i < shape.pieces.size(); i++) {
            plan.rebind(tensor, i, buffer == null ? Piece.absent(shape.dtype()) : buffer.pieces.get(i));
        }
    }

    private void refuseOverlaps(List<? extends @Nullable HostBuffer> buffers) {
        List<List<Piece>> pieces = new ArrayList<>(buffers.size());
        for (HostBuffer buffer : buffers) pieces.add(buffer == null ? List.of() : buffer.pieces);
        Overlaps.refuse(pieces, this::name);
    }
}
