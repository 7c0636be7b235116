// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.binding;

import dev.gradclip.NonFiniteGradientException;
import dev.gradclip.internal.memory.TensorMemory;
import dev.gradclip.internal.reduce.SegmentLayout;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The memory that each tensor has at present: shapes stay, memory comes and goes. A rebind binds all that it is given,
 * or throws and binds nothing. Entries are the gradients and then, where there are any, their weights.
 */
public abstract sealed class Binding permits HostBinding, DeviceBinding {
    private final List<String> names;
    private final SegmentLayout segments;
    private final long[] copy;

    Binding(TensorList tensors) {
        names = List.copyOf(tensors.names());
        segments = tensors.segments();
        copy = new long[names.size()];
    }

    /** The number of gradients; their weights, where there are any, are counted on from here. */
    public final int size() {
        return names.size();
    }

    /** The number of gradients and weights. */
    final int entries() {
        return segments.hasWeights() ? 2 * size() : size();
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

    /** The exception for the first segment with a norm that is not finite: the same on every backend. */
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

    /** A copy, so that what is checked is what is bound, whoever writes to the array meanwhile. */
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

    /** Binds the entries from one on to addresses; 0 is absent. */
    public abstract void rebind(int from, long[] addresses);

    /** Binds the entries from one on to memory; null is absent. */
    public abstract void rebind(int from, @Nullable TensorMemory[] memory);

    /** Returns true if the gradients can be bound to memory of this side, types and lengths; null is absent. */
    public final boolean fits(@Nullable TensorMemory[] memory) {
        for (int i = 0; i < memory.length; i++) {
            TensorMemory of = memory[i];
            if (of != null && !fits(i, of)) return false;
        }
        return true;
    }

    abstract boolean fits(int tensor, TensorMemory memory);

    /** Binds the gradients to arrays; null is absent. */
    public abstract void rebind(float[] @Nullable [] arrays);

    /** Lets go of all memory. */
    public abstract void clear();

    /** An action that frees memory outside the heap, without a reference to the binding. */
    public abstract Runnable release();
}
