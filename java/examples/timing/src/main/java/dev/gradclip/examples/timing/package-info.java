// SPDX-License-Identifier: Apache-2.0
/** The timer of the steps of the frameworks' examples. */
@NullMarked
package dev.gradclip.examples.timing;

import org.jspecify.annotations.NullMarked;
