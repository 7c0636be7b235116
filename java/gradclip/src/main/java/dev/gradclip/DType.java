// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

/**
 * The element types of gradients, little-endian; they mix freely in one clipper.
 *
 * <p>FLOAT16 and BFLOAT16 elements are held in {@code short}s, as their 16 bits.
 */
public enum DType {
    /** IEEE 754 binary64, added up in double. */
    FLOAT64(8),
    /** IEEE 754 binary32, added up in float within a tile and in double above it. */
    FLOAT32(4),
    /** IEEE 754 binary16, widened exactly to float. */
    FLOAT16(2),
    /** The upper half of a binary32, widened exactly to float. */
    BFLOAT16(2);

    private final int bytes;

    DType(int bytes) {
        this.bytes = bytes;
    }

    /** The size of an element in bytes. */
    public int bytes() {
        return bytes;
    }
}
