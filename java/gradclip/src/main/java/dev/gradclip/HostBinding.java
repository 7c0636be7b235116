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

    /** The buffer each tensor is bound to; null where it is absent, or bound to one of {@link #addresses}. */
    private final @Nullable HostBuffer[] bound;

    /** The address each tensor is bound to, or 0. */
    private final long[] addresses;

    private final Overlaps.Scratch scratch;

    HostBinding(GradientClipperBuilder builder, Function<List<List<Piece>>, CpuPlan> planner) {
        super(builder);
        int tensors = size();
        shapes = new HostBuffer[tensors];
        bound = new HostBuffer[tensors];
        addresses = new long[tensors];
        scratch = new Overlaps.Scratch(tensors);
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
        for (int i = 0; i < shapes.length; i++) if (isPresent(i)) tensors++;
        return tensors;
    }

    @Override
    long elements() {
        long elements = 0;
        for (int i = 0; i < shapes.length; i++) if (isPresent(i)) elements += shapes[i].length();
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
    void rebind(long[] now) {
        boolean changed = false;
        for (int i = 0; i < now.length; i++) {
            if (isBound(i, now[i])) continue;
            changed = true;
            if (shapes[i].pieces.size() != 1) {
                throw new IllegalArgumentException(
                        name(i) + " is bound in " + shapes[i].pieces.size() + " pieces; rebind it with buffers");
            }
            if (now[i] != 0 && shapes[i].length() > 0) Backend.NATIVE.require();
        }
        if (!changed) return;
        refuseOverlaps(now);
        for (int i = 0; i < now.length; i++) {
            if (isBound(i, now[i])) continue;
            bound[i] = null;
            addresses[i] = now[i];
            if (now[i] == 0) bindPieces(i, null);
            else plan.rebindAddress(i, shapes[i].dtype(), now[i], shapes[i].length());
        }
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
            if (isBound(i, buffer)) continue;
            changed = true;
            if (buffer != null) requireShape(i, buffer);
        }
        if (!changed) return;
        refuseOverlaps(buffers);
        for (int i = 0; i < shapes.length; i++) {
            if (isBound(i, buffers.get(i))) continue;
            bound[i] = buffers.get(i);
            addresses[i] = 0;
            bindPieces(i, bound[i]);
        }
    }

    private boolean isBound(int tensor, long address) {
        return address == addresses[tensor] && bound[tensor] == null;
    }

    private boolean isBound(int tensor, @Nullable HostBuffer buffer) {
        return buffer == bound[tensor] && addresses[tensor] == 0;
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

    private void refuseOverlaps(long[] now) {
        scratch.clear();
        for (int i = 0; i < now.length; i++) {
            long bytes = shapes[i].length() * shapes[i].dtype().bytes();
            if (now[i] != 0) scratch.add(now[i], bytes);
        }
        if (!scratch.hasOverlap()) return;
        List<List<Piece>> pieces = new ArrayList<>(now.length);
        for (int i = 0; i < now.length; i++) {
            HostBuffer shape = shapes[i];
            pieces.add(now[i] == 0 ? List.of() : List.of(Piece.ofAddress(shape.dtype(), now[i], shape.length(), null)));
        }
        Overlaps.refuse(pieces, this::name);
    }
}
