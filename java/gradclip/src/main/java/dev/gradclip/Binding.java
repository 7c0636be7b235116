// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import java.util.List;
import org.jspecify.annotations.Nullable;

/** Which memory each tensor has at present: shapes stay, memory comes and goes. Rebinding binds all, or throws and binds nothing. */
abstract sealed class Binding permits HostBinding, DeviceBinding {
    private final List<String> names;
    private final Segments segments;
    private final long[] copy;

    Binding(GradientClipperBuilder builder) {
        names = List.copyOf(builder.names);
        segments = builder.segments();
        copy = new long[names.size()];
    }

    /** Gradients; their parameters, where there are any, are counted on from here. */
    final int size() {
        return names.size();
    }

    /** Gradients and parameters. */
    final int entries() {
        return segments.hasParameters() ? 2 * size() : size();
    }

    final Segments segments() {
        return segments;
    }

    final List<String> names() {
        return names;
    }

    final String name(int entry) {
        return entry < size() ? names.get(entry) : "the parameter of " + names.get(entry - size());
    }

    /** Of the first segment with a norm that is not finite: the same on every backend. */
    final NonFiniteGradientException nonFinite(int segment, double norm) {
        int tensor = segments.ownerOf(segment);
        if (segments.rows(tensor) == 1) return new NonFiniteGradientException(name(tensor), norm);
        return new NonFiniteGradientException(name(tensor), segment - segments.from(tensor), norm);
    }

    final void requireCount(int count) {
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

    final void requireShape(int tensor, GradientBuffer shape, GradientBuffer buffer) {
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

    /** Gradients that have memory. */
    abstract int tensors();

    /** Elements of the gradients that have memory. */
    abstract long elements();

    /** The entries from one on, to addresses; 0 is absent. */
    abstract void rebind(int from, long[] addresses);

    /** The entries from one on, to buffers; null is absent. */
    abstract void rebind(int from, List<? extends @Nullable GradientBuffer> buffers);

    /** The gradients, to arrays; null is absent. */
    abstract void rebind(float[] @Nullable [] arrays);

    /** Lets go of all memory. */
    abstract void clear();

    /** What frees memory outside the heap, without a reference to the binding. */
    abstract Runnable release();
}
