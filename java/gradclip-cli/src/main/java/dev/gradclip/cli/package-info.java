// SPDX-License-Identifier: Apache-2.0
/** The {@code gradclip} command: {@link dev.gradclip.cli.Main}, its subcommands, their reports. */
@NullMarked
package dev.gradclip.cli;

import org.jspecify.annotations.NullMarked;
