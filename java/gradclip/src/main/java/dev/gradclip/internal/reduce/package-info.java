// SPDX-License-Identifier: Apache-2.0
/** Adds up in the canonical order, which gives a norm the same bits everywhere: docs/reduction.md. */
@NullMarked
package dev.gradclip.internal.reduce;

import org.jspecify.annotations.NullMarked;
