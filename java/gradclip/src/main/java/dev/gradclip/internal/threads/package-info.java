// SPDX-License-Identifier: Apache-2.0
/** Divides the chunks of a phase among threads: {@link dev.gradclip.internal.threads.ChunkQueue}. */
@NullMarked
package dev.gradclip.internal.threads;

import org.jspecify.annotations.NullMarked;
