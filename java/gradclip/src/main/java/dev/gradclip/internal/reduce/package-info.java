// SPDX-License-Identifier: Apache-2.0
/** Adds partials up in the canonical order, which gives a norm the same bits on every backend: docs/reduction.md. */
@NullMarked
package dev.gradclip.internal.reduce;

import org.jspecify.annotations.NullMarked;
