// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.clip;

/** The figures of one clip, as a backend hands them over; a clipper uses one object again and again. */
public final class Figures {
    /** The norm over all gradients before clipping; NaN where none was measured. */
    public double globalNorm;

    /** The factor of every gradient; NaN where there is no single one. */
    public double coefficient;

    /** True if a gradient was changed, unscaling aside. */
    public boolean clipped;

    /** True if a NaN or an infinity was found. */
    public boolean nonFinite;

    /** Gradients that have memory. */
    public int tensors;

    /** Elements of the gradients that have memory. */
    public long elements;

    /** Elements that a value rule changed. */
    public long elementsChanged;

    /** The number of the clipper's call that these figures are of. */
    public long call;

    /** True if the device has still to write the figures, so that only tensors, elements and call are known. */
    public boolean isPending;

    void set(double norm, double factor, boolean isClipped, boolean isNonFinite, long changed) {
        globalNorm = norm;
        coefficient = factor;
        clipped = isClipped;
        nonFinite = isNonFinite;
        elementsChanged = changed;
        isPending = false;
    }
}
