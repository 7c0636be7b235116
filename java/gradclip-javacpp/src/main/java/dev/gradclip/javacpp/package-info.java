// SPDX-License-Identifier: Apache-2.0
/** Gradients that LibTorch, or anything else behind JavaCPP, keeps outside the heap, for gradclip. */
@NullMarked
package dev.gradclip.javacpp;

import org.jspecify.annotations.NullMarked;
