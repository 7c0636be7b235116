// SPDX-License-Identifier: Apache-2.0
/** A training step with a framework's habits, and what clipping adds to it. */
@NullMarked
package dev.gradclip.examples.train;

import org.jspecify.annotations.NullMarked;
