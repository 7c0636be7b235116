// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.cpu;

import dev.gradclip.internal.reduce.NormKind;
import dev.gradclip.internal.update.UpdateTable;

/**
 * The work of one backend on the elements of one plan. Many threads call it at once, on disjoint ranges of tiles. All
 * implementations give the same bits.
 */
interface Kernels {
    /**
     * Writes one partial per tile.
     *
     * @return bit 0 is set if a FLOAT64 tile has its partial in the low plane, bit 1 if one has it in the high plane
     */
    int measure(NormKind norm, double p, long firstTile, long lastTile);

    /** Multiplies every element by its segment's coefficient. */
    void scale(long firstTile, long lastTile);

    /** Clamps every element; returns how many changed. */
    long clamp(double min, double max, long firstTile, long lastTile);

    /**
     * Updates the weights of the gradients in the tiles, and their state.
     *
     * @param firstWeights the index of the first piece of weights
     * @return the number of gradients that a limit changed
     */
    long update(UpdateTable table, CpuUpdateState state, int firstWeights, long firstTile, long lastTile);

    /** Sets NaN and infinities to +0; returns how many elements changed. */
    long zeroNonFinite(long firstTile, long lastTile);
}
