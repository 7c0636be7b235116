// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.cuda;

import dev.gradclip.internal.reduce.Cut;
import dev.gradclip.internal.reduce.Fold;
import dev.gradclip.internal.reduce.NormKind;
import dev.gradclip.internal.reduce.SegmentSums;
import dev.gradclip.internal.reduce.TensorSums;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.DoubleBuffer;

/** The partials of every tile of a plan, read from the device: the middle plane, then, for FLOAT64, low and high. */
public final class CudaPartials {
    final ByteBuffer memory;
    private final DoubleBuffer doubles;
    private final int[] firstTile;
    private final int segments;
    private final int tiles;
    private final int planes;
    private final Fold fold = new Fold();

    /** Has room for the partials of a plan of this table. */
    public CudaPartials(CudaPieceTable table) {
        firstTile = table.firstTiles();
        segments = firstTile.length - 1;
        tiles = firstTile[segments];
        planes = table.hasFloat64() ? 3 : 1;
        memory = ByteBuffer.allocateDirect(Math.multiplyExact(8 * planes, Math.addExact(tiles, segments)))
                .order(ByteOrder.nativeOrder());
        doubles = memory.asDoubleBuffer();
    }

    /** Puts the partials of segments of one tile, which the device keeps apart, where those of the others are. */
    void place() {
        for (int plane = 0; plane < planes; plane++) {
            int sums = planes * tiles + plane * segments;
            for (int i = 0; i < segments; i++) {
                if (firstTile[i + 1] - firstTile[i] != 1) continue;
                doubles.put(plane * tiles + firstTile[i], doubles.get(sums + i));
            }
        }
    }

    /** Adds the partials of a plan of one segment to the sums of a tensor. */
    public void addTo(TensorSums sums) {
        sums.addPartials(doubles, tiles, planes);
    }

    /** Writes the sums of a segment that is a part of a longer one. */
    public void cut(int segment, Cut cut, SegmentSums to, int at) {
        cut.write(doubles, firstTile[segment], fold, to.middle, at);
        if (planes == 1) return;
        cut.write(doubles, tiles + firstTile[segment], fold, to.low, at);
        cut.write(doubles, 2 * tiles + firstTile[segment], fold, to.high, at);
    }

    /** Writes the sums of a whole segment, or its maximum. */
    public void segment(int segment, NormKind kind, SegmentSums to, int at) {
        int first = firstTile[segment];
        int last = firstTile[segment + 1];
        to.middle[at] = kind == NormKind.INF ? largest(first, last) : fold.sum(doubles, first, last);
        if (planes == 1 || kind == NormKind.INF) return;
        to.low[at] = fold.sum(doubles, tiles + first, tiles + last);
        to.high[at] = fold.sum(doubles, 2 * tiles + first, 2 * tiles + last);
    }

    private double largest(int first, int last) {
        double largest = 0;
        for (int i = first; i < last; i++) largest = Math.max(largest, doubles.get(i));
        return largest;
    }
}
