// SPDX-License-Identifier: Apache-2.0
/** Clips gradients that pass through memory piece by piece: the core of {@link dev.gradclip.StreamingClip}. */
@NullMarked
package dev.gradclip.internal.stream;

import org.jspecify.annotations.NullMarked;
