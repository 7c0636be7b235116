// SPDX-License-Identifier: Apache-2.0
/** Follows a run file while a training writes it. */
@NullMarked
package dev.gradclip.cli.watch;

import org.jspecify.annotations.NullMarked;
