// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

/**
 * What one clip found and did: immutable. That of an {@code …Async} clip may still be to come; then what it tells waits for
 * the device, on any thread. It may be there before the last element is scaled: what reads gradients waits for the stream.
 *
 * <pre>{@code
 * ClipResult result = clipper.clipByGlobalNorm(1.0);
 * if (result.nonFinite()) log.warn("step {}: norm {}", step, result.totalNorm());
 * }</pre>
 *
 * <p>Every method that waits throws {@link NonFiniteGradientException} where an async clip's policy is ERROR and it found such
 * a gradient, {@link CudaException} where it failed, and {@link IllegalStateException} where it is not read before 256 later
 * calls of the clipper.
 */
public abstract sealed class ClipResult permits ClipSnapshot, ClipTicket {
    ClipResult() {}

    /** Per-tensor figures of the clipper's latest call. */
    interface TensorNorms {
        double norm(int tensor, long call);

        double rowNorm(int tensor, int row, long call);

        double coefficient(int tensor, long call);

        double rowCoefficient(int tensor, int row, long call);

        double groupNorm(String group, long call);
    }

    /** Whether the figures are there, so that nothing waits. */
    public abstract boolean isComplete();

    /**
     * The norm over all tensors before clipping, after unscaling. Infinite though {@link #nonFinite} is false where a finite norm exceeds the
     * largest double (the coefficient is right all the same); NaN where the rule measures no norm.
     */
    public abstract double totalNorm();

    /**
     * What everything was multiplied by, {@linkplain ClipRule#unscale unscaling} included; NaN where the rule has no single
     * coefficient, or the norm is NaN.
     */
    public abstract double coefficient();

    /**
     * Whether gradients were changed: the coefficient of at least one tensor, rounded to the precision it is applied in, was
     * not 1, or a value rule changed an element; unscaling does not count. Of {@link GradientClipper#decide}: whether the
     * coefficient would change some. A norm so little above the threshold that the coefficient rounds to 1 leaves all as it was,
     * and this false.
     */
    public abstract boolean clipped();

    /**
     * Whether a NaN or an infinity was found. A value rule under {@link NonFinitePolicy#PROPAGATE} does not look, and answers
     * false.
     */
    public abstract boolean nonFinite();

    /** Tensors covered; absent ones do not count. Never waits. */
    public abstract int tensors();

    /** Elements covered. Never waits. */
    public abstract long elements();

    /** Elements that a value rule changed; 0 for norm rules, which do not count. */
    public abstract long elementsChanged();

    /**
     * The norm of one tensor before clipping, by its place in the order bound.
     *
     * @throws IllegalStateException if the clipper has measured again since, or the rule measures no norm
     */
    public abstract double tensorNorm(int tensor);

    /**
     * The norm of one row before clipping, of a tensor bound with {@link GradientClipperBuilder#rows}.
     *
     * @throws IllegalStateException if the clipper has measured again since, or the rule measures no norm
     */
    public abstract double rowNorm(int tensor, int row);

    /**
     * What one tensor was multiplied by; NaN where each of its rows has a coefficient of its own.
     *
     * @throws IllegalStateException if the clipper has measured again since, or the rule measures no norm
     */
    public abstract double tensorCoefficient(int tensor);

    /**
     * What one row was multiplied by, of a tensor bound with {@link GradientClipperBuilder#rows}.
     *
     * @throws IllegalStateException if the clipper has measured again since, or the rule measures no norm
     */
    public abstract double rowCoefficient(int tensor, int row);

    /**
     * The norm of a named group before clipping.
     *
     * @throws IllegalArgumentException if there is no such group
     * @throws IllegalStateException if the clipper has measured again since, or the rule measures no norm
     */
    public abstract double groupNorm(String group);
}
