// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.reduce;

import dev.gradclip.DType;

/**
 * The numbers of the canonical order of additions; docs/reduction.md explains them. A tile is 16 stripes of 512 bytes:
 * 32 threads' 16-byte vectors.
 */
public final class Tiles {
    private Tiles() {}

    static final int BYTES = 8192;
    static final int STRIPE_BYTES = 512;
    public static final int THREADS = 32;

    /** Elements in a whole tile. */
    public static int elements(DType dtype) {
        return BYTES / dtype.bytes();
    }

    /** Elements in a stripe: the accumulators a tile has. */
    public static int lanes(DType dtype) {
        return STRIPE_BYTES / dtype.bytes();
    }

    /** Tiles that hold {@code length} elements. */
    public static long count(DType dtype, long length) {
        int size = elements(dtype);
        return length / size + (length % size == 0 ? 0 : 1);
    }
}
