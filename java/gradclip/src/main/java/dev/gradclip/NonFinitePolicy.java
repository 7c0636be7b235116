// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

/** The policy of a clip for gradients that hold a NaN or an infinity. */
public enum NonFinitePolicy {
    /**
     * Goes on with the formula, as PyTorch does: an infinite norm makes the coefficient 0, so finite gradients become 0
     * and infinite ones NaN; a NaN norm makes every element NaN. A value rule leaves NaN as it is and clamps
     * infinities.
     */
    PROPAGATE,
    /** Leaves every gradient as it was and throws {@link NonFiniteGradientException} naming the first such tensor. */
    ERROR,
    /** Leaves every gradient as it was; {@link ClipResult#nonFinite} returns true. */
    SKIP,
    /** Sets NaN and infinite elements to 0 first, then clips what is left. */
    ZERO
}
