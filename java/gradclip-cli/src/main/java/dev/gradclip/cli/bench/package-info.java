// SPDX-License-Identifier: Apache-2.0
/** Measures clipping on this machine beside the rates that its memory allows. */
@NullMarked
package dev.gradclip.cli.bench;

import org.jspecify.annotations.NullMarked;
