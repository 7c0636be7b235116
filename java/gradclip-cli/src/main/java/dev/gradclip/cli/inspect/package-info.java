// SPDX-License-Identifier: Apache-2.0
/** Shows the norms of a file's tensors and what a norm hides: mean, zeros, NaNs and infinities. */
@NullMarked
package dev.gradclip.cli.inspect;

import org.jspecify.annotations.NullMarked;
