// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import java.util.Objects;

/**
 * A norm in device memory, such as the sum of squares that {@code ncclAllReduce} leaves there. A clip reads it on the
 * device, after the work enqueued so far on its stream; the host never sees it.
 *
 * <pre>{@code
 * clipper.decideAsync(ClipRule.globalNorm(Double.POSITIVE_INFINITY), stream); // writes this process's squared norm
 * ncclAllReduce(clipper.squaredNormAddress(), total, 1, ncclDouble, ncclSum, communicator, stream);
 * clipper.clipWithNormAsync(ClipRule.globalNorm(1.0), DeviceNorm.squaredAt(total), stream);
 * }</pre>
 *
 * @param address an address in memory of the clipper's device, a multiple of the type's size
 * @param dtype FLOAT64 or FLOAT32
 * @param isSquared true if the square of the norm is at the address. Its square root is taken in double; a norm above
 *     1.3e154 has no square that a double holds.
 */
public record DeviceNorm(long address, DType dtype, boolean isSquared) {
    /** @throws IllegalArgumentException if the type is neither, or address is 0 or not a multiple of the type's size */
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

    /** Returns the FLOAT64 norm at an address. */
    public static DeviceNorm at(long address) {
        return new DeviceNorm(address, DType.FLOAT64, false);
    }

    /** Returns the norm whose square is the FLOAT64 at an address: for L2 the sum of the squares. */
    public static DeviceNorm squaredAt(long address) {
        return new DeviceNorm(address, DType.FLOAT64, true);
    }
}
