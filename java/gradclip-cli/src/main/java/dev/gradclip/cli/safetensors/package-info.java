// SPDX-License-Identifier: Apache-2.0
/** Reading safetensors files: a strict check of the header, then tensors in pieces. */
@NullMarked
package dev.gradclip.cli.safetensors;

import org.jspecify.annotations.NullMarked;
