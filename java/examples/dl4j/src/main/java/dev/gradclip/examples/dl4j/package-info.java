// SPDX-License-Identifier: Apache-2.0
/** A small DL4J network that trains with clipping. */
@NullMarked
package dev.gradclip.examples.dl4j;

import org.jspecify.annotations.NullMarked;
