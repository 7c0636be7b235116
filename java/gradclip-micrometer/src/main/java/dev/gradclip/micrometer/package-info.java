// SPDX-License-Identifier: Apache-2.0
/**
 * Meters of Micrometer for the norms, clips and non-finite gradients that clips find.
 *
 * @since 0.1.0
 */
@NullMarked
package dev.gradclip.micrometer;

import org.jspecify.annotations.NullMarked;
