// SPDX-License-Identifier: Apache-2.0
/**
 * Gradients of DL4J networks, clipped before the updater sees them, and ND4J's arrays.
 *
 * @since 0.1.0
 */
@NullMarked
package dev.gradclip.dl4j;

import org.jspecify.annotations.NullMarked;
