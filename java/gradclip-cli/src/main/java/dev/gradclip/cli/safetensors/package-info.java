// SPDX-License-Identifier: Apache-2.0
/** Reads safetensors files: checks the header strictly, chooses tensors by name, reads them in pieces. */
@NullMarked
package dev.gradclip.cli.safetensors;

import org.jspecify.annotations.NullMarked;
