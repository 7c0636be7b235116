// SPDX-License-Identifier: Apache-2.0
/** Meters of Micrometer for the norms, clips and non-finite gradients that clips find. */
@NullMarked
package dev.gradclip.micrometer;

import org.jspecify.annotations.NullMarked;
