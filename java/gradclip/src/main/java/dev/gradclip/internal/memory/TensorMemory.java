// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.memory;

import dev.gradclip.DType;

/**
 * The memory of one tensor, on the host or on a device; a tensor that is absent has a shape of this kind and no memory.
 */
public sealed interface TensorMemory permits HostMemory, DeviceMemory {
    /** Element type. */
    DType dtype();

    /** Number of elements. */
    long length();
}
