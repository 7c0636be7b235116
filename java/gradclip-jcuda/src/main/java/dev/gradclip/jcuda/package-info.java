// SPDX-License-Identifier: Apache-2.0
/**
 * Gradients that JCuda allocated, for gradclip.
 *
 * @since 0.1.0
 */
@NullMarked
package dev.gradclip.jcuda;

import org.jspecify.annotations.NullMarked;
