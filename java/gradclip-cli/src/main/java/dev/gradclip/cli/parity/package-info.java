// SPDX-License-Identifier: Apache-2.0
/** The command {@code parity}: compares the bits of all backends that run here. */
@NullMarked
package dev.gradclip.cli.parity;

import org.jspecify.annotations.NullMarked;
