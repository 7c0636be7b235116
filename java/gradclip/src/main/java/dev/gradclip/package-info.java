// SPDX-License-Identifier: Apache-2.0
/**
 * Gradient clipping: {@link dev.gradclip.Gradients} for arrays in one line, {@link dev.gradclip.GradientClipper} for a
 * training loop, {@link dev.gradclip.StreamingClip} for gradients that do not fit in memory.
 */
@NullMarked
package dev.gradclip;

import org.jspecify.annotations.NullMarked;
