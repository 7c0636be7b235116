// SPDX-License-Identifier: Apache-2.0
/** Holds what all commands share: streams and exit codes, numbers and tables, JSON, and files that appear whole. */
@NullMarked
package dev.gradclip.cli.shell;

import org.jspecify.annotations.NullMarked;
