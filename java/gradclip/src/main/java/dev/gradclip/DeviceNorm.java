// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import java.util.Objects;

/**
 * A norm that lies in device memory, such as the sum of squares that {@code ncclAllReduce} leaves there: a clip reads it on the
 * device, after what its stream has been given so far, and the host never sees it.
 *
 * <pre>{@code
 * clipper.decideAsync(ClipRule.globalNorm(Double.POSITIVE_INFINITY), stream);  // writes the square of this process's norm
 * ncclAllReduce(clipper.squaredNormAddress(), total, 1, ncclDouble, ncclSum, communicator, stream);
 * clipper.clipWithNormAsync(ClipRule.globalNorm(1.0), DeviceNorm.squaredAt(total), stream);
 * }</pre>
 *
 * @param address in memory of the clipper's device, a multiple of the type's size
 * @param dtype FLOAT64 or FLOAT32
 * @param isSquared whether the square of the norm lies there. Its square root is taken in double; a norm above 1.3e154 has no
 *     square that a double holds.
 */
public record DeviceNorm(long address, DType dtype, boolean isSquared) {
    /** @throws IllegalArgumentException if the type is another, or the address 0 or not a multiple of the type's size */
    public DeviceNorm {
        Objects.requireNonNull(dtype, "dtype");
        if (dtype != DType.FLOAT64 && dtype != DType.FLOAT32) {
            throw new IllegalArgumentException("a norm on a device is FLOAT64 or FLOAT32, but its type is " + dtype);
        }
        if (address == 0 || address % dtype.bytes() != 0) {
            throw new IllegalArgumentException("the address of a norm must be a multiple of " + dtype.bytes()
                    + " and not 0, but is 0x" + Long.toHexString(address));
        }
    }

    /** A norm, a FLOAT64. */
    public static DeviceNorm at(long address) {
        return new DeviceNorm(address, DType.FLOAT64, false);
    }

    /** The square of a norm, a FLOAT64: for L2 the sum of the squares. */
    public static DeviceNorm squaredAt(long address) {
        return new DeviceNorm(address, DType.FLOAT64, true);
    }
}
