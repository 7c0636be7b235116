// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.binding;

import dev.gradclip.NonFiniteGradientException;
import dev.gradclip.internal.memory.Strided;
import dev.gradclip.internal.memory.TensorMemory;
import dev.gradclip.internal.reduce.SegmentLayout;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The memory that each tensor is bound to at present. Type and length of a tensor are fixed; its memory may change. A
 * rebind binds everything it is given, or throws and binds nothing. The entries are the gradients, followed by their
 * weights if the clipper has weights.
 */
public abstract sealed class Binding permits HostBinding, DeviceBinding {
    private static final Runnable NOTHING = new Runnable() {
        @Override
        public void run() {}
    };

    private final List<String> names;
    private final SegmentLayout segments;
    private final @Nullable Strided[] strided;
    private final long[] copy;

    Binding(TensorList tensors) {
        names = List.copyOf(tensors.names());
        segments = tensors.segments();
        strided = tensors.strided().toArray(new Strided[0]);
        copy = new long[names.size()];
    }

    /** The number of gradients, which is also the entry of the first weights, if there are any. */
    public final int size() {
        return names.size();
    }

    /** The number of gradients and weights. */
    final int entries() {
        return segments.hasWeights() ? 2 * size() : size();
    }

    final int rows(int entry) {
        return segments.rows(entry < size() ? entry : entry - size());
    }

    /** The place in its tensor of the first element of a row of an entry. */
    final long firstElement(int entry, int row) {
        Strided how = strided(entry);
        return row * (how == null ? segments.length(entry < size() ? entry : entry - size()) : how.inner());
    }

    /** Where the elements of an entry's rows lie; null if those of each lie side by side. */
    final @Nullable Strided strided(int entry) {
        return strided[entry < size() ? entry : entry - size()];
    }

    /** Throws if a tensor has units, whose elements an update would not find side by side. */
    final void requireContiguous(int tensor) {
        if (strided(tensor) == null) return;
        throw new IllegalArgumentException(name(tensor) + " has units along an axis that is not its first; an update"
                + " takes whole tensors and rows: let the optimizer update it after a clip, or lay the axis first");
    }

    public final SegmentLayout segments() {
        return segments;
    }

    public final List<String> names() {
        return names;
    }

    public final String name(int entry) {
        return entry < size() ? names.get(entry) : "the parameter of " + names.get(entry - size());
    }

    /** Makes the exception for the first segment with a norm that is not finite, with one text for all backends. */
    public final NonFiniteGradientException nonFinite(int segment, double norm) {
        int tensor = segments.ownerOf(segment);
        if (segments.rows(tensor) == 1) return new NonFiniteGradientException(name(tensor), norm);
        return new NonFiniteGradientException(name(tensor), segment - segments.from(tensor), norm);
    }

    public final void requireCount(int count) {
        if (count != size()) {
            throw new IllegalArgumentException(
                    "rebind takes one entry a tensor, " + size() + " of them, but got " + count);
        }
    }

    /** Copies the addresses, so that those checked are those bound even if the caller's array changes meanwhile. */
    final long[] copied(long[] addresses) {
        System.arraycopy(addresses, 0, copy, 0, copy.length);
        return copy;
    }

    final void requireShape(int tensor, TensorMemory shape, TensorMemory buffer) {
        if (buffer.dtype() != shape.dtype() || buffer.length() != shape.length()) {
            throw new IllegalArgumentException(name(tensor) + " was bound with " + shape.length() + " elements of "
                    + shape.dtype() + ", but is now given " + buffer.length() + " of " + buffer.dtype()
                    + "; a tensor of another shape needs a new clipper");
        }
    }

    final IllegalArgumentException otherSide(int tensor, String given, String bound) {
        return new IllegalArgumentException(name(tensor) + " is now in " + given + " memory, but the clipper works in "
                + bound + " memory; copy the gradient there, or give it a clipper of its own");
    }

    /** The number of gradients that have memory. */
    public abstract int tensors();

    /** The number of elements of the gradients that have memory. */
    public abstract long elements();

    /** Binds the entries that begin with {@code from} to addresses; 0 makes an entry absent. */
    public abstract void rebind(int from, long[] addresses);

    /** Binds the entries that begin with {@code from} to memory; null makes an entry absent. */
    public abstract void rebind(int from, @Nullable TensorMemory[] memory);

    /** Returns true if the gradients can be bound to this memory; null makes a gradient absent. */
    public final boolean fits(@Nullable TensorMemory[] memory) {
        for (int i = 0; i < memory.length; i++) {
            TensorMemory next = memory[i];
            if (next != null && !fits(i, next)) return false;
        }
        return true;
    }

    abstract boolean fits(int tensor, TensorMemory memory);

    /** Binds the gradients to arrays; null makes a gradient absent. */
    public abstract void rebind(float[] @Nullable [] arrays);

    /** Drops every reference to the tensors' memory. */
    public abstract void clear();

    /** Returns an action that frees memory outside the heap and holds no reference to the binding. */
    public Runnable release() {
        return NOTHING;
    }
}
