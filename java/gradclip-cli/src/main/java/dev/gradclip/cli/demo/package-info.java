// SPDX-License-Identifier: Apache-2.0
/** The command {@code demo}: trains with and without clipping, and draws both. */
@NullMarked
package dev.gradclip.cli.demo;

import org.jspecify.annotations.NullMarked;
