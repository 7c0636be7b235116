// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.cpu;

import dev.gradclip.DType;
import dev.gradclip.internal.jni.NativeCpu;
import dev.gradclip.internal.jni.UnboundPieceException;
import dev.gradclip.internal.memory.Piece;
import dev.gradclip.internal.memory.PieceTable;
import dev.gradclip.internal.memory.Strided;
import dev.gradclip.internal.reduce.Tiles;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.DoubleBuffer;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A plan's memory, which both CPU backends read: the pieces with the numbers of their tiles, and the doubles per
 * segment and per tile that one phase leaves for the next. A rebind writes one entry; nothing is allocated after the
 * constructor.
 */
final class CpuPlanMemory {
    /** Measuring a tensor of a few elements takes 45 ns, as long as measuring this many bytes in the caches. */
    private static final int LEAST_COST = 512;

    private static final int MOST_DOUBLES = Integer.MAX_VALUE / 8;

    /** Stands for a piece that was bound by its address; no piece that could be bound is equal to it. */
    private static final Piece BY_ADDRESS = Piece.ofAddress(DType.FLOAT32, -1, -1, null);

    /** The memory of each piece; {@link #BY_ADDRESS} if only the table has its address. */
    final Piece[] pieces;

    final int[] segmentOf;

    /** The type and the length that each piece was built with, which stay though it is absent. */
    final DType[] dtypes;

    final long[] lengths;
    final long[] firstTile;

    /** Where the elements of each piece lie; null where they lie side by side. */
    final @Nullable Strided[] strided;

    /** The bytes before each piece, with {@link #LEAST_COST} for a short one: an estimate of a phase's duration. */
    final long[] cost;

    final @Nullable Object[] arrays;
    final int segments;
    final long tiles;

    /** The distance between the planes of partials; 0 if no piece is FLOAT64, so that there is one plane. */
    final long planeStride;

    final ByteBuffer table;
    final DoubleBuffer coefficients;
    final DoubleBuffer maxima;
    final DoubleBuffer partials;
    final boolean addressed;

    /**
     * @param bound the pieces of each segment
     * @param addressed true if native code reads the table, so that addresses of direct buffers are looked up
     * @throws UnboundPieceException if the segments are larger than one plan can hold
     */
    CpuPlanMemory(List<List<Piece>> bound, boolean addressed) {
        this.addressed = addressed;
        segments = bound.size();
        int count = 0;
        for (List<Piece> segment : bound) count += segment.size();
        pieces = new Piece[count];
        segmentOf = new int[count];
        dtypes = new DType[count];
        lengths = new long[count];
        firstTile = new long[count + 1];
        strided = new Strided[count];
        cost = new long[count + 1];
        arrays = new Object[count];
        table = direct((long) count * PieceTable.PIECE_BYTES);
        int index = 0;
        long tile = 0;
        boolean float64 = false;
        for (int segment = 0; segment < segments; segment++) {
            for (Piece piece : bound.get(segment)) {
                segmentOf[index] = segment;
                dtypes[index] = piece.dtype();
                lengths[index] = piece.length();
                firstTile[index] = tile;
                strided[index] = piece.strided();
                set(index, piece);
                float64 |= piece.dtype() == DType.FLOAT64;
                tile += Tiles.count(piece.dtype(), piece.length());
                if (2L * segments + (float64 ? 3 : 1) * tile > MOST_DOUBLES) {
                    throw new UnboundPieceException(
                            segment,
                            "is beyond the 2 TiB that one clipper takes, or 682 GiB where a tensor is FLOAT64");
                }
                long bytes = piece.length() * piece.dtype().bytes();
                index++;
                cost[index] = cost[index - 1] + (bytes == 0 ? 0 : Math.max(bytes, LEAST_COST));
            }
        }
        firstTile[count] = tile;
        tiles = tile;
        planeStride = float64 ? tile : 0;
        ByteBuffer doubles = direct(8 * (2L * segments + Math.addExact(tile, 2 * planeStride)));
        coefficients = slice(doubles, 0, segments);
        maxima = slice(doubles, segments, segments);
        partials = slice(doubles, 2 * segments, (int) (tile + 2 * planeStride));
    }

    /** Binds a piece to elements of the same type and number at an address, without an object if native code runs. */
    void setAddress(int index, DType dtype, long address, long length) {
        if (!addressed) {
            set(index, Piece.ofAddress(dtype, address, length, null));
            return;
        }
        pieces[index] = BY_ADDRESS;
        arrays[index] = null;
        put(index, dtype, address, 0, length);
    }

    /** Binds a piece to other memory of the same type and length, or to none. */
    void set(int index, Piece piece) {
        pieces[index] = piece;
        arrays[index] = piece.array();
        long address = piece.address();
        if (addressed && address == 0 && piece.array() == null && piece.view() != null) {
            address = NativeCpu.address(piece.view());
        }
        put(index, piece.dtype(), address, piece.arrayOffset(), piece.length());
    }

    private void put(int index, DType dtype, long address, long arrayOffset, long length) {
        int at = index * PieceTable.PIECE_BYTES;
        table.putLong(at + PieceTable.ADDRESS, address);
        table.putLong(at + PieceTable.ARRAY_OFFSET, arrayOffset);
        table.putLong(at + PieceTable.COUNT, length);
        table.putLong(at + PieceTable.FIRST_TILE, firstTile[index]);
        table.putInt(at + PieceTable.SEGMENT, segmentOf[index]);
        table.putInt(at + PieceTable.DTYPE, dtype.ordinal());
        Strided how = strided[index];
        table.putLong(at + PieceTable.INNER, how == null ? 0 : how.inner());
        table.putLong(at + PieceTable.STRIDE, how == null ? 0 : how.stride());
    }

    /** Returns the piece that holds a tile: the last one whose first tile is not above it. */
    int pieceOf(long tile) {
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
