// SPDX-License-Identifier: Apache-2.0
/** Small recurrent networks on plain arrays, trained with and without clipping: what {@code gradclip demo} runs. */
@NullMarked
package dev.gradclip.demo;

import org.jspecify.annotations.NullMarked;
