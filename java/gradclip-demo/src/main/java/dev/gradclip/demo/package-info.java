// SPDX-License-Identifier: Apache-2.0
/** Trains small recurrent networks on plain arrays, with and without clipping, for {@code gradclip demo}. */
@NullMarked
package dev.gradclip.demo;

import org.jspecify.annotations.NullMarked;
