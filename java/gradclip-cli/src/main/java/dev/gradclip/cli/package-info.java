// SPDX-License-Identifier: Apache-2.0
/** Starts the {@code gradclip} command: {@link dev.gradclip.cli.Main} knows every subcommand, each a package below. */
@NullMarked
package dev.gradclip.cli;

import org.jspecify.annotations.NullMarked;
