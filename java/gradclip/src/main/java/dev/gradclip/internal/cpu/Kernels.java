// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.cpu;

import dev.gradclip.internal.reduce.NormKind;

/**
 * The element work of one backend on the memory of one plan. Called from many threads at once, on disjoint ranges of
 * tiles; every method sees the same tiles, and every implementation gives the same bits.
 */
interface Kernels {
    /**
     * Writes one partial per tile.
     *
     * @return bit 0 when a FLOAT64 tile went to the low plane, bit 1 when one went to the high plane
     */
    int measure(NormKind norm, double p, long firstTile, long lastTile);

    /** Multiplies every element by its segment's coefficient. */
    void scale(long firstTile, long lastTile);

    /** Clamps every element; returns how many changed. */
    long clamp(double min, double max, long firstTile, long lastTile);

    /** Sets NaN and infinities to +0; returns how many elements changed. */
    long zeroNonFinite(long firstTile, long lastTile);
}
