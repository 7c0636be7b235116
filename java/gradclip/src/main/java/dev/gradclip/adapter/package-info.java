// SPDX-License-Identifier: Apache-2.0
/**
 * Parts of which an adapter to a framework is made: {@link dev.gradclip.adapter.StepClipper} binds each step's tensors.
 *
 * @since 0.1.0
 */
@NullMarked
package dev.gradclip.adapter;

import org.jspecify.annotations.NullMarked;
