// SPDX-License-Identifier: Apache-2.0
/** Clips the gradients of a safetensors file into another file, or into the same. */
@NullMarked
package dev.gradclip.cli.clip;

import org.jspecify.annotations.NullMarked;
