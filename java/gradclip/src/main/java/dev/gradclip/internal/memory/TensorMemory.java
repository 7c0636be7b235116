// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.memory;

import dev.gradclip.DType;

/**
 * The memory of one tensor, on the host or on a device. An object without memory gives the type and length of an absent
 * tensor.
 */
public sealed interface TensorMemory permits HostMemory, DeviceMemory {
    DType dtype();

    long length();
}
