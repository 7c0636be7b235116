// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

/**
 * The library whose arithmetic a {@link NormRule} follows where libraries differ: in the epsilon, at a norm equal to
 * the threshold, and at a norm that is not finite (under {@link NonFinitePolicy#PROPAGATE}). A model ported from a
 * library trains with the same numbers. No convention turns finite gradients into NaN, as TensorFlow and Optax do at a
 * norm and a threshold of 0.
 *
 * <pre>{@code
 * ClipRule rule = ClipRule.globalNorm(1.0).withConvention(Convention.TENSORFLOW);
 * }</pre>
 */
public enum Convention {
    /** {@code min(1, max / (norm + 1e-6))}; an infinite norm makes finite gradients 0, a NaN norm makes all NaN. */
    PYTORCH(1e-6),

    /**
     * {@code max / max(norm, max)}, so that a norm equal to the threshold changes nothing. A norm over all tensors that
     * is not finite makes every gradient NaN ({@code clip_by_global_norm}); an infinite norm of one tensor makes finite
     * gradients 0 ({@code clip_by_norm}).
     */
    TENSORFLOW(0),

    /** {@code norm < max ? g : g / norm * max}: TensorFlow's rule, but an infinite norm makes finite gradients 0. */
    OPTAX(0),

    /** {@link #TENSORFLOW}'s arithmetic: {@code global_clipnorm} over all tensors, {@code clipnorm} of one. */
    KERAS(0),

    /**
     * {@code norm > max ? g * max / norm : g}: a NaN norm changes nothing, unless the rule normalizes and divides by
     * it.
     */
    DL4J(0);

    private final double epsilon;

    Convention(double epsilon) {
        this.epsilon = epsilon;
    }

    /** The number that is added to the norm before the threshold is divided by the sum. */
    public double epsilon() {
        return epsilon;
    }
}
