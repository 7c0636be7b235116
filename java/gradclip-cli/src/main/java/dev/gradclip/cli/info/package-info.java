// SPDX-License-Identifier: Apache-2.0
/** The command {@code info}: tells what gradclip finds on this machine. */
@NullMarked
package dev.gradclip.cli.info;

import org.jspecify.annotations.NullMarked;
