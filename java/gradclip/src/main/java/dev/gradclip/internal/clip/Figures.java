// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.clip;

/** The figures of one clip, which a backend fills in; a clipper reuses one object. */
public final class Figures {
    /** The norm over all gradients before clipping; NaN if none was measured. */
    public double globalNorm;

    /** The factor of every gradient; NaN if gradients have different factors. */
    public double coefficient;

    /** The norm over all gradients after clipping; NaN if gradients have different factors. */
    public double clippedNorm;

    /** True if a gradient was changed; unscaling is not counted. */
    public boolean clipped;

    /** True if a NaN or an infinity was found. */
    public boolean nonFinite;

    /** True if the policy SKIP or a history left every gradient as it is. */
    public boolean skipped;

    /** The threshold that a history had for all gradients; NaN where there is none. */
    public double threshold = Double.NaN;

    /** The number of gradients that have memory. */
    public int tensors;

    /** The number of elements of the gradients that have memory. */
    public long elements;

    /** The number of elements that a value rule changed. */
    public long elementsChanged;

    /** The number of the clipper's call that these figures belong to. */
    public long call;

    /** True if the device has not written the figures yet; only tensors, elements and call are known then. */
    public boolean isPending;

    /** Sets the figures of a call that changed no gradient, or for which {@link #clippedNorm} is set afterwards. */
    void set(double norm, double factor, boolean isClipped, boolean isNonFinite, long changed) {
        globalNorm = norm;
        coefficient = factor;
        clippedNorm = Double.isNaN(factor) ? Double.NaN : norm;
        clipped = isClipped;
        nonFinite = isNonFinite;
        elementsChanged = changed;
        isPending = false;
        skipped = false;
        threshold = Double.NaN;
    }

    /** Nothing is changed, because a gradient is not finite or a history skips the step. */
    void setSkipped(double norm, double factor, boolean isNonFinite) {
        set(norm, factor, false, isNonFinite, 0);
        skipped = true;
    }
}
