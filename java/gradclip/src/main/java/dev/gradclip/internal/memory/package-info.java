// SPDX-License-Identifier: Apache-2.0
/** Describes the memory of tensors, on the host and on a device, and refuses tensors that overlap. */
@NullMarked
package dev.gradclip.internal.memory;

import org.jspecify.annotations.NullMarked;
