// SPDX-License-Identifier: Apache-2.0
/** A small DJL model that trains with clipping. */
@NullMarked
package dev.gradclip.examples.djl;

import org.jspecify.annotations.NullMarked;
