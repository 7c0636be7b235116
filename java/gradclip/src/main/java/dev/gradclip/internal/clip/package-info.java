// SPDX-License-Identifier: Apache-2.0
/**
 * Measures, decides and applies for one clipper: {@link dev.gradclip.internal.clip.Phases}, on the CPU and on
 * a device.
 */
@NullMarked
package dev.gradclip.internal.clip;

import org.jspecify.annotations.NullMarked;
