// SPDX-License-Identifier: Apache-2.0
/** The command {@code clip}: clips the gradients of a file by a rule. */
@NullMarked
package dev.gradclip.cli.clip;

import org.jspecify.annotations.NullMarked;
