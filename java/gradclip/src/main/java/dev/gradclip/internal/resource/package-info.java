// SPDX-License-Identifier: Apache-2.0
/** Counts the users of resources outside the heap, and reports those that were never closed. */
@NullMarked
package dev.gradclip.internal.resource;

import org.jspecify.annotations.NullMarked;
