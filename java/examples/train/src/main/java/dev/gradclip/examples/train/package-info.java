// SPDX-License-Identifier: Apache-2.0
/** A training step of ResNet-50 on LibTorch, and what clipping adds to it. */
@NullMarked
package dev.gradclip.examples.train;

import org.jspecify.annotations.NullMarked;
