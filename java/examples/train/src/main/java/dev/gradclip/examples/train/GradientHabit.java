// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.train;

/** The fates of gradients between steps. */
enum GradientHabit {
    /** Freed, and allocated anew by the backward pass: LibTorch's default. */
    FRESH,
    /** Zeroed in place: {@code zero_grad(false)}. */
    KEPT,
    /** Views into one flat tensor that is zeroed in place, as distributed training keeps them. */
    BUCKET
}
