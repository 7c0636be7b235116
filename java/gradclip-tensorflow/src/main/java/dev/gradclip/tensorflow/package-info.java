// SPDX-License-Identifier: Apache-2.0
/**
 * Gradients of TensorFlow-Java graphs, clipped between the run that computes them and the run that applies them, and
 * tensors.
 *
 * @since 0.1.0
 */
@NullMarked
package dev.gradclip.tensorflow;

import org.jspecify.annotations.NullMarked;
