// SPDX-License-Identifier: Apache-2.0
/**
 * Gradients of DJL models on PyTorch, clipped between the gradient collector and the trainer's step.
 *
 * @since 0.1.0
 */
@NullMarked
package dev.gradclip.djl;

import org.jspecify.annotations.NullMarked;
