// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import dev.gradclip.internal.CpuPlan;
import dev.gradclip.internal.Overlaps;
import dev.gradclip.internal.Piece;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Which memory each tensor has at present: shapes stay, memory comes and goes. */
final class Binding {
    private final CpuPlan plan;
    private final List<String> names;
    private final HostBuffer[] shapes;
    private final @Nullable HostBuffer[] bound;

    Binding(GradientClipperBuilder builder, CpuPlan plan) {
        this.plan = plan;
        names = List.copyOf(builder.names);
        shapes = builder.shapes.toArray(new HostBuffer[0]);
        bound = builder.bound.toArray(new HostBuffer[0]);
        refuseOverlaps(builder.bound);
        for (int i = 0; i < bound.length; i++) bindPieces(i, bound[i]);
    }

    int size() {
        return shapes.length;
    }

    List<String> names() {
        return names;
    }

    String name(int tensor) {
        return names.get(tensor);
    }

    HostBuffer shape(int tensor) {
        return shapes[tensor];
    }

    @Nullable
    HostBuffer bound(int tensor) {
        return bound[tensor];
    }

    /** Tensors that have memory. */
    int tensors() {
        int tensors = 0;
        for (HostBuffer buffer : bound) if (buffer != null) tensors++;
        return tensors;
    }

    /** Elements of the tensors that have memory. */
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
                        names.get(i) + " is read-only, and this rule may write to it; measure it with "
                                + "globalNorm() or a threshold of infinity, or bind a writable buffer");
            }
        }
    }

    void requireCount(int count) {
        if (count != shapes.length) {
            throw new IllegalArgumentException(
                    "rebind takes one entry a tensor, " + shapes.length + " of them, but got " + count);
        }
    }

    /** Binds all, or throws and binds nothing. */
    void bindAll(List<? extends @Nullable HostBuffer> buffers) {
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

    /** Lets go of all memory. */
    void clear() {
        for (int i = 0; i < shapes.length; i++) {
            bound[i] = null;
            bindPieces(i, null);
        }
    }

    private void requireShape(int tensor, HostBuffer buffer) {
        HostBuffer shape = shapes[tensor];
        if (buffer.dtype() != shape.dtype() || buffer.length() != shape.length()) {
            throw new IllegalArgumentException(names.get(tensor) + " was bound with " + shape.length() + " elements of "
                    + shape.dtype() + ", but is now given " + buffer.length() + " of " + buffer.dtype()
                    + "; a tensor of another shape needs a new clipper");
        }
        boolean same = buffer.pieces.size() == shape.pieces.size();
        for (int i = 0; same && i < shape.pieces.size(); i++) {
            same = buffer.pieces.get(i).length() == shape.pieces.get(i).length();
        }
        if (!same) throw new IllegalArgumentException(names.get(tensor) + " was bound in pieces of other lengths");
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
        Overlaps.refuse(pieces, names::get);
    }
}
