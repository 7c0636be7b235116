// SPDX-License-Identifier: Apache-2.0
/**
 * Gradients that LibTorch, or anything else behind JavaCPP, keeps outside the heap, for gradclip.
 *
 * @since 0.1.0
 */
@NullMarked
package dev.gradclip.javacpp;

import org.jspecify.annotations.NullMarked;
