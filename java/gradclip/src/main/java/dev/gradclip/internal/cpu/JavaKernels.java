// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.cpu;

import dev.gradclip.DType;
import dev.gradclip.internal.memory.Piece;
import dev.gradclip.internal.reduce.NormKind;
import dev.gradclip.internal.reduce.Tiles;

/** The plain-Java backend: walks the tiles, loads each one, and leaves the arithmetic to {@link JavaTile}. */
final class JavaKernels implements Kernels {
    private enum Work {
        MEASURE,
        SCALE,
        CLAMP,
        ZERO_NON_FINITE
    }

    private final CpuPlanMemory memory;

    JavaKernels(CpuPlanMemory memory) {
        this.memory = memory;
    }

    @Override
    public int measure(NormKind norm, double p, long firstTile, long lastTile) {
        return (int) forEachTile(Work.MEASURE, norm, p, 0, firstTile, lastTile);
    }

    @Override
    public void scale(long firstTile, long lastTile) {
        forEachTile(Work.SCALE, NormKind.L2, 0, 0, firstTile, lastTile);
    }

    @Override
    public long clamp(double min, double max, long firstTile, long lastTile) {
        return forEachTile(Work.CLAMP, NormKind.L2, min, max, firstTile, lastTile);
    }

    @Override
    public long zeroNonFinite(long firstTile, long lastTile) {
        return forEachTile(Work.ZERO_NON_FINITE, NormKind.L2, 0, 0, firstTile, lastTile);
    }

    /**
     * Returns the planes used when measuring, else how many elements changed; other work than an argument's ignores it.
     */
    private long forEachTile(Work work, NormKind norm, double a, double b, long firstTile, long lastTile) {
        if (Subnormals.areFlushed()) {
            return Subnormals.keptFor(() -> onThisThread(work, norm, a, b, firstTile, lastTile));
        }
        return onThisThread(work, norm, a, b, firstTile, lastTile);
    }

    private long onThisThread(Work work, NormKind norm, double a, double b, long firstTile, long lastTile) {
        JavaTile scratch = JavaTile.take();
        try {
            return forEachTile(scratch, work, norm, a, b, firstTile, lastTile);
        } finally {
            scratch.leave();
        }
    }

    private long forEachTile(
            JavaTile scratch, Work work, NormKind norm, double a, double b, long firstTile, long lastTile) {
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
            for (; tile < end; tile++) {
                long from = (tile - memory.firstTile[index]) * size;
                int n = (int) Math.min(size, piece.length() - from);
                switch (work) {
                    case MEASURE -> planes |= measure(scratch, norm, a, segment, piece, tile, from, n);
                    case SCALE -> scratch.scale(memory.coefficients.get(segment), piece, from, n);
                    case CLAMP -> changed += scratch.clamp(a, b, piece, from, n);
                    case ZERO_NON_FINITE -> changed += scratch.zeroNonFinite(piece, from, n);
                }
            }
        }
        return work == Work.MEASURE ? planes : changed;
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
