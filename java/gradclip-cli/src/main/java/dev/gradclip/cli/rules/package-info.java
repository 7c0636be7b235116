// SPDX-License-Identifier: Apache-2.0
/** The rules by their names and options, and the command {@code rules} that lists them. */
@NullMarked
package dev.gradclip.cli.rules;

import org.jspecify.annotations.NullMarked;
