// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

/** The elements for which a {@link NormRule} computes one norm and one coefficient. */
public enum Scope {
    /** All tensors together: one norm, one coefficient. */
    ALL,
    /** Each group of {@link GradientClipperBuilder#group}; tensors in none are left as they are. */
    GROUP,
    /** Each tensor. */
    TENSOR,
    /** Each row of a tensor bound with {@link GradientClipperBuilder#rows}; a tensor bound without is one row. */
    ROW,
    /**
     * Each sample: one row of every tensor together, row {@code i} of each being the gradient of sample {@code i}. All
     * tensors are bound with the same number of {@link GradientClipperBuilder#rows}.
     */
    SAMPLE
}
