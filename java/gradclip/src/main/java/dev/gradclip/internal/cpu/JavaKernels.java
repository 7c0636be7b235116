// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.cpu;

import dev.gradclip.DType;
import dev.gradclip.internal.cpu.CpuPlan.Phase;
import dev.gradclip.internal.memory.Piece;
import dev.gradclip.internal.memory.Strided;
import dev.gradclip.internal.reduce.NormKind;
import dev.gradclip.internal.reduce.Tiles;
import dev.gradclip.internal.update.UpdateTable;

/** The kernels in plain Java: finds the piece of each tile and leaves the arithmetic to {@link JavaTile}. */
final class JavaKernels implements Kernels {
    private final CpuPlanMemory memory;

    JavaKernels(CpuPlanMemory memory) {
        this.memory = memory;
    }

    @Override
    public int measure(NormKind norm, double p, long firstTile, long lastTile) {
        return (int) forEachTile(Phase.MEASURE, norm, p, 0, firstTile, lastTile);
    }

    @Override
    public void scale(long firstTile, long lastTile) {
        forEachTile(Phase.SCALE, NormKind.L2, 0, 0, firstTile, lastTile);
    }

    @Override
    public long clamp(double min, double max, long firstTile, long lastTile) {
        return forEachTile(Phase.CLAMP, NormKind.L2, min, max, firstTile, lastTile);
    }

    @Override
    public long zeroNonFinite(long firstTile, long lastTile) {
        return forEachTile(Phase.ZERO_NON_FINITE, NormKind.L2, 0, 0, firstTile, lastTile);
    }

    /** Returns the planes used if the phase measures, else the number of elements that changed. */
    private long forEachTile(Phase work, NormKind norm, double a, double b, long firstTile, long lastTile) {
        if (Subnormals.areFlushed()) {
            return Subnormals.keptFor(() -> onThisThread(work, norm, a, b, firstTile, lastTile));
        }
        return onThisThread(work, norm, a, b, firstTile, lastTile);
    }

    private long onThisThread(Phase work, NormKind norm, double a, double b, long firstTile, long lastTile) {
        JavaTile scratch = JavaTile.take();
        try {
            return forEachTile(scratch, work, norm, a, b, firstTile, lastTile);
        } finally {
            scratch.leave();
        }
    }

    private long forEachTile(
            JavaTile scratch, Phase work, NormKind norm, double a, double b, long firstTile, long lastTile) {
        int planes = 0;
        long changed = 0;
        long tile = firstTile;
        for (int index = memory.pieceOf(firstTile); tile < lastTile; index++) {
            Piece piece = memory.pieces[index];
            long end = Math.min(lastTile, memory.firstTile[index + 1]);
            if (piece.length() == 0) {
                tile = end;
                continue;
            }
            int segment = memory.segmentOf[index];
            int size = Tiles.elements(piece.dtype());
            Strided strided = memory.strided[index];
            for (; tile < end; tile++) {
                long first = (tile - memory.firstTile[index]) * size;
                int n = (int) Math.min(size, piece.length() - first);
                Piece from = strided == null ? piece : scratch.gathered().gather(piece, strided, first, n);
                long at = strided == null ? first : 0;
                switch (work) {
                    case MEASURE -> planes |= measure(scratch, norm, a, segment, from, tile, at, n);
                    case SCALE -> scratch.scale(memory.coefficients.get(segment), from, at, n);
                    case CLAMP -> changed += scratch.clamp(a, b, from, at, n);
                    case ZERO_NON_FINITE -> changed += scratch.zeroNonFinite(from, at, n);
                    case MEASURE_AND_SCALE, UPDATE ->
                        throw new IllegalArgumentException(work + " is done by other methods");
                }
                if (strided != null && work != Phase.MEASURE) scratch.gathered().scatter(piece, strided, first, n);
            }
        }
        return work == Phase.MEASURE ? planes : changed;
    }

    @Override
    public long update(UpdateTable table, CpuUpdateState state, int firstWeights, long firstTile, long lastTile) {
        if (Subnormals.areFlushed()) {
            return Subnormals.keptFor(() -> updateTiles(table, state, firstWeights, firstTile, lastTile));
        }
        return updateTiles(table, state, firstWeights, firstTile, lastTile);
    }

    private long updateTiles(UpdateTable table, CpuUpdateState state, int firstWeights, long firstTile, long lastTile) {
        JavaTile tileScratch = JavaTile.take();
        try {
            JavaUpdateTile scratch = tileScratch.updates();
            long changed = 0;
            long tile = firstTile;
            for (int index = memory.pieceOf(firstTile); tile < lastTile; index++) {
                Piece gradient = memory.pieces[index];
                Piece weights = memory.pieces[firstWeights + index];
                long end = Math.min(lastTile, memory.firstTile[index + 1]);
                int size = Tiles.elements(gradient.dtype());
                for (; gradient.length() > 0 && tile < end; tile++) {
                    long from = (tile - memory.firstTile[index]) * size;
                    int n = (int) Math.min(size, gradient.length() - from);
                    changed += scratch.update(table, state, memory.segmentOf[index], index, gradient, weights, from, n);
                }
                tile = end;
            }
            return changed;
        } finally {
            tileScratch.leave();
        }
    }

    private int measure(
            JavaTile scratch, NormKind norm, double p, int segment, Piece piece, long tile, long from, int n) {
        double max = norm == NormKind.POWER ? memory.maxima.get(segment) : 0;
        int at = (int) tile;
        int plane = scratch.measure(norm, p, max, piece, from, n);
        if (piece.dtype() == DType.FLOAT64) {
            int stride = (int) memory.planeStride;
            for (int i = 0; i < 3; i++) memory.partials.put(at + i * stride, 0);
            at += plane * stride;
        }
        memory.partials.put(at, scratch.partial());
        return plane;
    }
}
