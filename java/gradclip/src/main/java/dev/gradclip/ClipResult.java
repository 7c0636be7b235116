// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import org.jspecify.annotations.Nullable;

/**
 * What one clip found and did: an immutable snapshot.
 *
 * <pre>{@code
 * ClipResult result = clipper.clipByGlobalNorm(1.0);
 * if (result.nonFinite()) log.warn("step {}: norm {}", step, result.totalNorm());
 * }</pre>
 */
public final class ClipResult {
    private final double totalNorm;
    private final double coefficient;
    private final long elements;
    private final long elementsChanged;
    private final int tensors;
    private final boolean clipped;
    private final boolean nonFinite;
    private final @Nullable TensorNorms perTensor;
    private final int call;

    /** Per-tensor figures of the clipper's latest call. */
    interface TensorNorms {
        double norm(int tensor, int call);

        double coefficient(int tensor, int call);

        double groupNorm(String group, int call);
    }

    ClipResult(
            double totalNorm,
            double coefficient,
            boolean clipped,
            boolean nonFinite,
            int tensors,
            long elements,
            long elementsChanged,
            @Nullable TensorNorms perTensor,
            int call) {
        this.totalNorm = totalNorm;
        this.coefficient = coefficient;
        this.clipped = clipped;
        this.nonFinite = nonFinite;
        this.tensors = tensors;
        this.elements = elements;
        this.elementsChanged = elementsChanged;
        this.perTensor = perTensor;
        this.call = call;
    }

    /**
     * The norm over all tensors before clipping. Infinite though {@link #nonFinite} is false where a finite norm exceeds the
     * largest double (the coefficient is right all the same); NaN where the rule measures no norm.
     */
    public double totalNorm() {
        return totalNorm;
    }

    /** What everything was multiplied by; NaN where the rule has no single coefficient, or the norm is NaN. */
    public double coefficient() {
        return coefficient;
    }

    /**
     * Whether gradients were changed: the coefficient of at least one tensor, rounded to the precision it is applied in, was
     * not 1, or a value rule changed an element. A norm so little above the threshold that the coefficient rounds to 1 leaves
     * all as it was, and this false.
     */
    public boolean clipped() {
        return clipped;
    }

    /**
     * Whether a NaN or an infinity was found. A value rule under {@link NonFinitePolicy#PROPAGATE} does not look, and answers
     * false.
     */
    public boolean nonFinite() {
        return nonFinite;
    }

    /** Tensors covered; absent ones do not count. */
    public int tensors() {
        return tensors;
    }

    /** Elements covered. */
    public long elements() {
        return elements;
    }

    /** Elements that a value rule changed; 0 for norm rules, which do not count. */
    public long elementsChanged() {
        return elementsChanged;
    }

    /**
     * The norm of one tensor before clipping, by its place in the order bound.
     *
     * @throws IllegalStateException if the clipper has measured again since, or the rule measures no norm
     */
    public double tensorNorm(int tensor) {
        return details().norm(tensor, call);
    }

    /**
     * What one tensor was multiplied by.
     *
     * @throws IllegalStateException if the clipper has measured again since, or the rule measures no norm
     */
    public double tensorCoefficient(int tensor) {
        return details().coefficient(tensor, call);
    }

    /**
     * The norm of a named group before clipping.
     *
     * @throws IllegalArgumentException if there is no such group
     * @throws IllegalStateException if the clipper has measured again since, or the rule measures no norm
     */
    public double groupNorm(String group) {
        return details().groupNorm(group, call);
    }

    private TensorNorms details() {
        if (perTensor == null) {
            throw new IllegalStateException("no per-tensor norms: the rule measured none, or they went with the call");
        }
        return perTensor;
    }

    @Override
    public String toString() {
        return "ClipResult[totalNorm=" + totalNorm + ", coefficient=" + coefficient + ", clipped=" + clipped
                + ", nonFinite=" + nonFinite + ", tensors=" + tensors + ", elements=" + elements
                + (elementsChanged > 0 ? ", elementsChanged=" + elementsChanged : "") + "]";
    }
}
