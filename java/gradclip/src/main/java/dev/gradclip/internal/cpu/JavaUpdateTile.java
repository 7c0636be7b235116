// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.cpu;

import dev.gradclip.DType;
import dev.gradclip.internal.memory.Piece;
import dev.gradclip.internal.update.JavaUpdate;
import dev.gradclip.internal.update.UpdateTable;

/**
 * One tile's update in plain Java: loads gradients, weights and state, and leaves the arithmetic to {@link JavaUpdate}.
 */
final class JavaUpdateTile {
    private final JavaTile gradientTile;
    private final JavaTile weightsTile = new JavaTile();
    private final JavaTile[] stateTiles = {new JavaTile(), new JavaTile()};

    /** A tile's update that loads gradients into this scratch, and stays with it. */
    JavaUpdateTile(JavaTile gradientTile) {
        this.gradientTile = gradientTile;
    }

    /** Updates up to one tile of a piece; returns the number of gradients that a limit changed. */
    int update(
            UpdateTable table,
            CpuUpdateState state,
            int segment,
            int piece,
            Piece gradient,
            Piece weights,
            long from,
            int n) {
        int slots = state.form().update().slots();
        int changed;
        if (weights.dtype() == DType.FLOAT64) {
            double[] g = gradientTile.doublesOf(gradient, from, n);
            double[] p = weightsTile.doublesOf(weights, from, n);
            double[] s1 = stateTiles[0].doubles();
            double[] s2 = stateTiles[1].doubles();
            for (int slot = 0; slot < slots; slot++) state.load(slot, piece, from, stateTiles[slot].doubles(), n);
            changed = JavaUpdate.update(
                    table,
                    segment,
                    g,
                    gradientTile.startOf(g, gradient, from),
                    p,
                    weightsTile.startOf(p, weights, from),
                    s1,
                    s2,
                    n);
            for (int slot = 0; slot < slots; slot++) state.store(slot, piece, from, stateTiles[slot].doubles(), n);
            if (p == weightsTile.doubles()) weightsTile.storeDoubles(weights, from, n);
        } else {
            float[] g = gradientTile.floatsOf(gradient, from, n);
            float[] p = weightsTile.floatsOf(weights, from, n);
            float[] s1 = stateTiles[0].floats();
            float[] s2 = stateTiles[1].floats();
            for (int slot = 0; slot < slots; slot++) state.load(slot, piece, from, stateTiles[slot].floats(), n);
            int master = state.form().masterSlot();
            boolean hasMaster = state.hasMaster(piece);
            // At a tensor's first step they are the weights, which are in the scratch.
            if (hasMaster && !table.first(segment)) state.load(master, piece, from, p, n);
            changed = JavaUpdate.update(
                    table,
                    segment,
                    g,
                    gradientTile.startOf(g, gradient, from),
                    p,
                    weightsTile.startOf(p, weights, from),
                    s1,
                    s2,
                    n);
            for (int slot = 0; slot < slots; slot++) state.store(slot, piece, from, stateTiles[slot].floats(), n);
            if (hasMaster) state.store(master, piece, from, p, n);
            if (p == weightsTile.floats()) weightsTile.storeFloats(weights, from, n);
        }
        if (table.zeroesGradients()) gradientTile.zero(gradient, from, n);
        return changed;
    }
}
