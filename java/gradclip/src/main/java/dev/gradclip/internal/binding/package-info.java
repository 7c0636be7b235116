// SPDX-License-Identifier: Apache-2.0
/** Binds tensors to a plan, and rebinds them when they have moved: {@link dev.gradclip.internal.binding.Binding}. */
@NullMarked
package dev.gradclip.internal.binding;

import org.jspecify.annotations.NullMarked;
