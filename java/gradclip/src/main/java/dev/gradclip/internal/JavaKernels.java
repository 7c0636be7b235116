// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal;

import dev.gradclip.DType;

/** The plain-Java backend: walks the tiles, loads each one, and leaves the arithmetic to {@link JavaTile}. */
final class JavaKernels implements Kernels {
    private final PlanMemory memory;

    JavaKernels(PlanMemory memory) {
        this.memory = memory;
    }

    /** Work on the elements {@code [from, from + n)} of one piece, which is tile {@code tile} of the plan. */
    private interface TileWork {
        long run(JavaTile scratch, Piece piece, int row, long tile, long from, int n);
    }

    @Override
    public int measure(NormKind norm, double p, long firstTile, long lastTile) {
        return (int) forEachTile(firstTile, lastTile, (scratch, piece, row, tile, from, n) -> {
            double max = norm == NormKind.POWER ? memory.maxima.get(memory.segmentOf[row]) : 0;
            int at = (int) tile;
            int plane = scratch.measure(norm, p, max, piece, from, n);
            if (piece.dtype() == DType.FLOAT64) {
                int stride = (int) memory.planeStride;
                for (int i = 0; i < 3; i++) memory.partials.put(at + i * stride, 0);
                at += plane * stride;
            }
            memory.partials.put(at, scratch.partial());
            return plane;
        });
    }

    @Override
    public void scale(long firstTile, long lastTile) {
        forEachTile(firstTile, lastTile, (scratch, piece, row, tile, from, n) -> {
            scratch.scale(memory.coefficients.get(memory.segmentOf[row]), piece, from, n);
            return 0;
        });
    }

    @Override
    public long clamp(double min, double max, long firstTile, long lastTile) {
        long[] changed = {0};
        forEachTile(firstTile, lastTile, (scratch, piece, row, tile, from, n) -> {
            changed[0] += scratch.clamp(min, max, piece, from, n);
            return 0;
        });
        return changed[0];
    }

    @Override
    public long zeroNonFinite(long firstTile, long lastTile) {
        long[] changed = {0};
        forEachTile(firstTile, lastTile, (scratch, piece, row, tile, from, n) -> {
            changed[0] += scratch.zeroNonFinite(piece, from, n);
            return 0;
        });
        return changed[0];
    }

    /** Returns the bitwise or of what the tiles returned. */
    private long forEachTile(long firstTile, long lastTile, TileWork work) {
        JavaTile scratch = JavaTile.ofThread();
        long result = 0;
        long tile = firstTile;
        for (int row = memory.rowOf(firstTile); tile < lastTile; row++) {
            Piece piece = memory.pieces[row];
            long end = Math.min(lastTile, memory.firstTile[row + 1]);
            if (piece.length() == 0) {
                tile = end;
                continue;
            }
            int size = Tiles.elements(piece.dtype());
            for (; tile < end; tile++) {
                long from = (tile - memory.firstTile[row]) * size;
                result |= work.run(scratch, piece, row, tile, from, (int) Math.min(size, piece.length() - from));
            }
        }
        return result;
    }
}
