// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal;

import dev.gradclip.DType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.DoubleBuffer;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What a plan knows and both CPU backends read: its pieces, numbered in tiles, and per segment and tile the doubles that
 * the phases exchange. Rebinding writes a row; nothing is allocated after the constructor.
 */
final class PlanMemory {
    /** A tensor of a few elements takes 45 ns to measure, which is what this many bytes take from the caches. */
    private static final int LEAST_COST = 512;

    private static final int MOST_DOUBLES = Integer.MAX_VALUE / 8;

    /** Equal to no piece that could be bound. */
    private static final Piece BY_ADDRESS = Piece.ofAddress(DType.FLOAT32, -1, -1, null);

    /** What each row is bound to; {@link #BY_ADDRESS} where native code alone knows. */
    final Piece[] pieces;

    final int[] segmentOf;
    final long[] firstTile;

    /** Bytes before each row, a short row counting as {@link #LEAST_COST}, so that they tell how long a phase takes. */
    final long[] cost;

    final @Nullable Object[] arrays;
    final int segments;
    final long tiles;

    /** 0, or the distance between the planes of partials when a piece is FLOAT64. */
    final long planeStride;

    final ByteBuffer table;
    final DoubleBuffer coefficients;
    final DoubleBuffer maxima;
    final DoubleBuffer partials;
    private final boolean addressed;

    /**
     * @param bound the pieces of each segment
     * @param addressed whether native code reads the table, so that addresses of direct buffers are looked up
     * @throws RowException if a segment is beyond what a plan takes
     */
    PlanMemory(List<List<Piece>> bound, boolean addressed) {
        this.addressed = addressed;
        segments = bound.size();
        int rows = 0;
        for (List<Piece> segment : bound) rows += segment.size();
        pieces = new Piece[rows];
        segmentOf = new int[rows];
        firstTile = new long[rows + 1];
        cost = new long[rows + 1];
        arrays = new Object[rows];
        table = direct((long) rows * PieceTable.ROW_BYTES);
        int row = 0;
        long tile = 0;
        boolean float64 = false;
        for (int segment = 0; segment < segments; segment++) {
            for (Piece piece : bound.get(segment)) {
                segmentOf[row] = segment;
                firstTile[row] = tile;
                set(row, piece);
                float64 |= piece.dtype() == DType.FLOAT64;
                tile += Tiles.count(piece.dtype(), piece.length());
                if (2L * segments + (float64 ? 3 : 1) * tile > MOST_DOUBLES) {
                    throw new RowException(
                            segment,
                            "is beyond the 2 TiB that one clipper takes, or 682 GiB where a tensor is FLOAT64");
                }
                long bytes = piece.length() * piece.dtype().bytes();
                row++;
                cost[row] = cost[row - 1] + (bytes == 0 ? 0 : Math.max(bytes, LEAST_COST));
            }
        }
        firstTile[rows] = tile;
        tiles = tile;
        planeStride = float64 ? tile : 0;
        ByteBuffer doubles = direct(8 * (2L * segments + Math.addExact(tile, 2 * planeStride)));
        coefficients = slice(doubles, 0, segments);
        maxima = slice(doubles, segments, segments);
        partials = slice(doubles, 2 * segments, (int) (tile + 2 * planeStride));
    }

    /** Binds a row to elements of its type and number at an address; native code needs no object for them. */
    void setAddress(int row, DType dtype, long address, long length) {
        if (!addressed) {
            set(row, Piece.ofAddress(dtype, address, length, null));
            return;
        }
        pieces[row] = BY_ADDRESS;
        arrays[row] = null;
        put(row, dtype, address, 0, length);
    }

    /** Binds a row to other memory of the same type and length, or to none. */
    void set(int row, Piece piece) {
        pieces[row] = piece;
        arrays[row] = piece.array();
        long address = piece.address();
        if (addressed && address == 0 && piece.array() == null && piece.view() != null) {
            address = NativeCpu.address(piece.view());
        }
        put(row, piece.dtype(), address, piece.arrayOffset(), piece.length());
    }

    private void put(int row, DType dtype, long address, long arrayOffset, long length) {
        int at = row * PieceTable.ROW_BYTES;
        table.putLong(at + PieceTable.ADDRESS, address);
        table.putLong(at + PieceTable.ARRAY_OFFSET, arrayOffset);
        table.putLong(at + PieceTable.COUNT, length);
        table.putLong(at + PieceTable.FIRST_TILE, firstTile[row]);
        table.putInt(at + PieceTable.SEGMENT, segmentOf[row]);
        table.putInt(at + PieceTable.DTYPE, dtype.ordinal());
    }

    /** The row that holds a tile: the last whose first tile is not above it. */
    int rowOf(long tile) {
        int low = 0;
        int high = pieces.length - 1;
        while (low < high) {
            int middle = (low + high + 1) >>> 1;
            if (firstTile[middle] <= tile) low = middle;
            else high = middle - 1;
        }
        return low;
    }

    private static ByteBuffer direct(long bytes) {
        return ByteBuffer.allocateDirect(Math.toIntExact(bytes)).order(ByteOrder.nativeOrder());
    }

    private static DoubleBuffer slice(ByteBuffer doubles, int from, int length) {
        return doubles.slice(8 * from, 8 * length)
                .order(ByteOrder.nativeOrder())
                .asDoubleBuffer();
    }
}
