// SPDX-License-Identifier: Apache-2.0
/** Timing of clips whose case stays what it is, the machine's own rates, and charts. */
@NullMarked
package dev.gradclip.measure;

import org.jspecify.annotations.NullMarked;
