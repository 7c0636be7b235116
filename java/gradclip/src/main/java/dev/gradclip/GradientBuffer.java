// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

/** One gradient tensor's memory, wherever it lives; where it lives picks the backend that clips it. */
public sealed interface GradientBuffer permits HostBuffer, DeviceBuffer {
    /** Element type. */
    DType dtype();

    /** Number of elements; may exceed 2^31. */
    long length();
}
