// SPDX-License-Identifier: Apache-2.0
/** Compares what each backend leaves with what plain Java leaves, bit by bit. */
@NullMarked
package dev.gradclip.cli.parity;

import org.jspecify.annotations.NullMarked;
