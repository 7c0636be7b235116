// SPDX-License-Identifier: Apache-2.0
/**
 * Fills sets of gradients by name, times clips that stay the same however often they run, and measures memory's rates.
 */
@NullMarked
package dev.gradclip.measure;

import org.jspecify.annotations.NullMarked;
