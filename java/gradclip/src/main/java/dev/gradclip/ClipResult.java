// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import dev.gradclip.internal.clip.Figures;
import org.jspecify.annotations.Nullable;

/**
 * The figures of one clip: what it found and did. Those of an {@code …Async} clip may be pending; a method that
 * returns one then waits for the device, on any thread. Figures may arrive before the last element is scaled: wait for
 * the stream before you read gradients.
 *
 * <pre>{@code
 * ClipResult result = clipper.clipByGlobalNorm(1.0);
 * if (result.nonFinite()) log.warn("step {}: norm {}", step, result.globalNorm());
 * }</pre>
 *
 * <p>Every method that waits throws {@link NonFiniteGradientException} if the policy of an async clip is ERROR and the
 * clip found a NaN or an infinity, {@link CudaException} if the clip failed, and {@link IllegalStateException} if the
 * result is not read before 256 later calls of the clipper.
 */
public final class ClipResult {
    /** The clipper that made a result: it reads pending figures, and keeps the norms of tensors until its next call. */
    interface Source {
        boolean isComplete(long call);

        void read(long call, Figures into);

        double tensorNorm(int tensor, long call);

        double rowNorm(int tensor, int row, long call);

        double tensorCoefficient(int tensor, long call);

        double rowCoefficient(int tensor, int row, long call);

        double groupNorm(String group, long call);
    }

    // With these fields an object takes 64 bytes, which is all that a clip allocates. So one field has two uses.
    private final long elements;
    private final long call;
    private final int tensors;
    private final @Nullable Source source;
    private double globalNorm;
    private double coefficient;

    /** The bits of the norm after the clip; where no norm is known, the number of elements that a value rule changed. */
    private long clippedNormOrChanged;

    private boolean clipped;
    private boolean nonFinite;
    private boolean skipped;

    /** True once the figures have arrived; two threads that read them at once write the same values. */
    private volatile boolean complete;

    /** Makes the result of a call; without a source it has no figures of tensors, and no figure may be pending. */
    ClipResult(Figures figures, @Nullable Source source) {
        this.source = source;
        elements = figures.elements;
        call = figures.call;
        tensors = figures.tensors;
        if (!figures.isPending) take(figures);
    }

    private void take(Figures figures) {
        globalNorm = figures.globalNorm;
        coefficient = figures.coefficient;
        clippedNormOrChanged =
                Double.isNaN(globalNorm) ? figures.elementsChanged : Double.doubleToRawLongBits(figures.clippedNorm);
        clipped = figures.clipped;
        nonFinite = figures.nonFinite;
        skipped = figures.skipped;
        complete = true;
    }

    private ClipResult read() {
        Source from = source;
        if (!complete && from != null) {
            Figures figures = new Figures();
            from.read(call, figures);
            take(figures);
        }
        return this;
    }

    /** Returns true if the figures have arrived, so that no method waits. */
    public boolean isComplete() {
        return complete || (source != null && source.isComplete(call));
    }

    /**
     * The norm over all tensors before clipping, after unscaling; NaN where the rule measures no norm. A finite norm
     * above the largest double is returned as infinity, with {@link #nonFinite} false and the right coefficient.
     */
    public double globalNorm() {
        return read().globalNorm;
    }

    /**
     * The factor that every gradient was multiplied by, {@linkplain ClipRule#withInverseScale unscaling} included; NaN
     * where the rule has no single coefficient, or the norm is NaN.
     */
    public double coefficient() {
        return read().coefficient;
    }

    /**
     * The norm over all tensors after clipping: {@link #globalNorm} times the coefficient without unscaling, which is
     * the norm of the gradients as they are now but for the rounding of each element. It is {@link #globalNorm} where
     * the clip changed nothing or was {@linkplain NonFinitePolicy#SKIP skipped}, after a decision
     * ({@link GradientClipper#decide}) what the coefficient would make of it, and NaN where the rule has no single
     * coefficient.
     *
     * <pre>{@code
     * ClipResult result = clipper.clipByGlobalNorm(1.0); // gradients of norm 13
     * log.info("norm {}, clipped to {}", result.globalNorm(), result.clippedNorm()); // 13.0, 0.9999999230769291
     * }</pre>
     */
    public double clippedNorm() {
        return Double.isNaN(read().globalNorm) ? Double.NaN : Double.longBitsToDouble(clippedNormOrChanged);
    }

    /**
     * Returns true if gradients were changed: a value rule changed an element, or the coefficient of at least one
     * tensor, rounded to the precision it is applied in, was not 1. Unscaling does not count. A decision
     * ({@link GradientClipper#decide}) returns true if the coefficient would change gradients. A norm so little above
     * the threshold that the coefficient rounds to 1 changes nothing, and this returns false.
     */
    public boolean clipped() {
        return read().clipped;
    }

    /**
     * Returns true if a NaN or an infinity was found. A value rule under {@link NonFinitePolicy#PROPAGATE} does not
     * look for them, and this returns false.
     */
    public boolean nonFinite() {
        return read().nonFinite;
    }

    /**
     * Returns true if everything was left as it is, because {@link NonFinitePolicy#SKIP} met a NaN or an infinity, or a
     * rule such as {@link ClipRule#skipSpikes} found the norm too large.
     */
    public boolean skipped() {
        return read().skipped;
    }

    /** The number of tensors covered; absent ones do not count. This never waits. */
    public int tensors() {
        return tensors;
    }

    /** The number of elements covered. This never waits. */
    public long elements() {
        return elements;
    }

    /** The number of elements that a value rule changed; 0 for norm rules, which do not count them. */
    public long elementsChanged() {
        return Double.isNaN(read().globalNorm) ? clippedNormOrChanged : 0;
    }

    /**
     * The norm of one tensor before clipping; tensors are numbered in the order bound.
     *
     * @throws IllegalStateException if the clipper has measured again since, or the rule measures no norm
     */
    public double tensorNorm(int tensor) {
        return ofTensors().tensorNorm(tensor, call);
    }

    /**
     * The norm before clipping of one row of a tensor that is bound with {@link GradientClipperBuilder#rows}.
     *
     * @throws IllegalStateException if the clipper has measured again since, or the rule measures no norm
     */
    public double rowNorm(int tensor, int row) {
        return ofTensors().rowNorm(tensor, row, call);
    }

    /**
     * The factor that one tensor was multiplied by; NaN where each of its rows has a coefficient of its own.
     *
     * @throws IllegalStateException if the clipper has measured again since, or the rule measures no norm
     */
    public double tensorCoefficient(int tensor) {
        return ofTensors().tensorCoefficient(tensor, call);
    }

    /**
     * The factor that one row was multiplied by, of a tensor that is bound with {@link GradientClipperBuilder#rows}.
     *
     * @throws IllegalStateException if the clipper has measured again since, or the rule measures no norm
     */
    public double rowCoefficient(int tensor, int row) {
        return ofTensors().rowCoefficient(tensor, row, call);
    }

    /**
     * The norm of a named group before clipping.
     *
     * @throws IllegalArgumentException if there is no such group
     * @throws IllegalStateException if the clipper has measured again since, or the rule measures no norm
     */
    public double groupNorm(String group) {
        return ofTensors().groupNorm(group, call);
    }

    private Source ofTensors() {
        Source from = read().source;
        if (from == null) {
            throw new IllegalStateException("no per-tensor norms: the rule measured none, or they went with the call");
        }
        return from;
    }

    /** Shows the figures, or that they are not read yet; this never waits. */
    @Override
    public String toString() {
        if (!complete) return "ClipResult[not read yet, tensors=" + tensors + ", elements=" + elements + "]";
        return "ClipResult[globalNorm=" + globalNorm + ", coefficient=" + coefficient + ", clipped=" + clipped
                + ", nonFinite=" + nonFinite + ", tensors=" + tensors + ", elements=" + elements
                + (elementsChanged() > 0 ? ", elementsChanged=" + elementsChanged() : "") + "]";
    }
}
