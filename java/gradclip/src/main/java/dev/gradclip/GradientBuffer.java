// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

/** The memory of one gradient tensor, on the host or on a device; the place picks the backend that clips it. */
public sealed interface GradientBuffer permits HostBuffer, DeviceBuffer {
    /** The element type. */
    DType dtype();

    /** The number of elements; may exceed 2^31. */
    long length();
}
