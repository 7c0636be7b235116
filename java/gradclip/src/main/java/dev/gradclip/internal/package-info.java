// SPDX-License-Identifier: Apache-2.0
/**
 * Measure, decide, apply on the CPU. {@link dev.gradclip.internal.CpuPlan} drives the phases over tiles, {@link
 * dev.gradclip.internal.Kernels} does the element work, {@link dev.gradclip.internal.Fold} adds up the partials.
 */
@NullMarked
package dev.gradclip.internal;

import org.jspecify.annotations.NullMarked;
