// SPDX-License-Identifier: Apache-2.0
/** The command {@code inspect}: measures the tensors of a file. */
@NullMarked
package dev.gradclip.cli.inspect;

import org.jspecify.annotations.NullMarked;
