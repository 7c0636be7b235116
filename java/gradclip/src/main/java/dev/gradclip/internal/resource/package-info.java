// SPDX-License-Identifier: Apache-2.0
/** Counts the users of what lives outside the heap, and reports what was never closed. */
@NullMarked
package dev.gradclip.internal.resource;

import org.jspecify.annotations.NullMarked;
