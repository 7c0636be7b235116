// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.reduce;

import dev.gradclip.DType;

/**
 * The constants of the canonical order of additions; docs/reduction.md explains them. A tile is 16 stripes of 512
 * bytes, and a stripe is one 16-byte vector for each of 32 threads.
 */
public final class Tiles {
    private Tiles() {}

    static final int BYTES = 8192;
    static final int STRIPE_BYTES = 512;
    public static final int THREADS = 32;

    /** The number of elements of a whole tile. */
    public static int elements(DType dtype) {
        return BYTES / dtype.bytes();
    }

    /** The number of elements of a stripe, which is the number of accumulators of a tile. */
    public static int lanes(DType dtype) {
        return STRIPE_BYTES / dtype.bytes();
    }

    /** The number of tiles that hold {@code length} elements. */
    public static long count(DType dtype, long length) {
        int size = elements(dtype);
        return length / size + (length % size == 0 ? 0 : 1);
    }
}
