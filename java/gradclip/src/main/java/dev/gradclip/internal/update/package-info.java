// SPDX-License-Identifier: Apache-2.0
/** Updates weights with clipped gradients: the numbers of a step, its state, and the arithmetic in plain Java. */
@NullMarked
package dev.gradclip.internal.update;

import org.jspecify.annotations.NullMarked;
