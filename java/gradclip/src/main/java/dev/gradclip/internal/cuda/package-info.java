// SPDX-License-Identifier: Apache-2.0
/** Drives a plan on a CUDA device: {@link dev.gradclip.internal.cuda.CudaPlan}, its rules, pieces and results. */
@NullMarked
package dev.gradclip.internal.cuda;

import org.jspecify.annotations.NullMarked;
