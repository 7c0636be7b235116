// SPDX-License-Identifier: Apache-2.0
/** One norm over ranks: what each sends, whether that covers every tensor once, and what follows for all of them. */
@NullMarked
package dev.gradclip.internal.ranks;

import org.jspecify.annotations.NullMarked;
