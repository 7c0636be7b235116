// SPDX-License-Identifier: Apache-2.0
/** A small TensorFlow graph that trains with clipping. */
@NullMarked
package dev.gradclip.examples.tensorflow;

import org.jspecify.annotations.NullMarked;
