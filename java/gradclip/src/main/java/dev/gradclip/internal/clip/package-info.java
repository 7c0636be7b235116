// SPDX-License-Identifier: Apache-2.0
/** Measures, decides and applies for one clipper, on the CPU or a device: {@link dev.gradclip.internal.clip.Phases}. */
@NullMarked
package dev.gradclip.internal.clip;

import org.jspecify.annotations.NullMarked;
