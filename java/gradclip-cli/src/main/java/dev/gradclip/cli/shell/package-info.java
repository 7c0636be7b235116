// SPDX-License-Identifier: Apache-2.0
/** The parts that all commands share: the terminal, numbers, reports, output files, exit codes. */
@NullMarked
package dev.gradclip.cli.shell;

import org.jspecify.annotations.NullMarked;
