// SPDX-License-Identifier: Apache-2.0
/** The command {@code bench}: measures clipping on this machine. */
@NullMarked
package dev.gradclip.cli.bench;

import org.jspecify.annotations.NullMarked;
