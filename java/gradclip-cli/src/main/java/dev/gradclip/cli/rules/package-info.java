// SPDX-License-Identifier: Apache-2.0
/** Knows every rule by its name and parameters, reads the options that choose one, and lists them. */
@NullMarked
package dev.gradclip.cli.rules;

import org.jspecify.annotations.NullMarked;
