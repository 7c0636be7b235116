// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.cuda;

import dev.gradclip.DType;
import dev.gradclip.internal.jni.UnboundPieceException;
import dev.gradclip.internal.memory.PieceTable;
import dev.gradclip.internal.memory.Strided;
import dev.gradclip.internal.reduce.Tiles;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The piece table of a CUDA plan, with one piece for each segment. A tensor (a gradient or its weights) has one piece,
 * or one for each of its rows. The pieces of an absent tensor have address 0 and keep their tiles.
 */
public final class CudaPieceTable {
    final ByteBuffer pieces;
    private final long[] lengths;
    private final int[] elementBytes;
    private final @Nullable Strided[] strided;
    private final int[] firstPiece;
    private final int gradients;
    private final int tiles;
    private final boolean hasFloat64;

    /**
     * Makes a table of tensors that have no memory yet.
     *
     * @param strided where the elements of each tensor's rows lie; null where those of a row lie side by side
     * @param gradients the number of gradients, which come before the weights
     */
    public CudaPieceTable(DType[] dtypes, long[] lengths, int[] rowCounts, @Nullable Strided[] strided, int gradients) {
        this.lengths = lengths;
        this.strided = strided;
        elementBytes = new int[lengths.length];
        firstPiece = new int[lengths.length + 1];
        for (int i = 0; i < lengths.length; i++) firstPiece[i + 1] = Math.addExact(firstPiece[i], rowCounts[i]);
        this.gradients = firstPiece[gradients];
        pieces = ByteBuffer.allocateDirect(Math.multiplyExact(size(), PieceTable.PIECE_BYTES))
                .order(ByteOrder.nativeOrder());
        long tile = 0;
        hasFloat64 = List.of(dtypes).contains(DType.FLOAT64);
        for (int i = 0; i < lengths.length; i++) {
            elementBytes[i] = dtypes[i].bytes();
            long length = pieceLength(i);
            for (int piece = firstPiece[i]; piece < firstPiece[i + 1]; piece++) {
                int at = piece * PieceTable.PIECE_BYTES;
                pieces.putLong(at + PieceTable.COUNT, length);
                pieces.putLong(at + PieceTable.FIRST_TILE, tile);
                pieces.putInt(at + PieceTable.SEGMENT, piece);
                pieces.putInt(at + PieceTable.DTYPE, dtypes[i].ordinal());
                Strided how = strided[i];
                if (how != null) {
                    pieces.putLong(at + PieceTable.INNER, how.inner());
                    pieces.putLong(at + PieceTable.STRIDE, how.stride());
                }
                tile = Math.addExact(tile, Tiles.count(dtypes[i], length));
            }
        }
        tiles = (int) Math.min(tile, Integer.MAX_VALUE);
    }

    private long pieceLength(int entry) {
        return lengths[entry] / (firstPiece[entry + 1] - firstPiece[entry]);
    }

    /** The number of pieces. */
    int size() {
        return firstPiece[lengths.length];
    }

    /** The number of pieces of gradients. */
    int gradients() {
        return gradients;
    }

    /** The first tile of each piece, and the number of tiles. */
    int[] firstTiles() {
        int[] first = new int[size() + 1];
        first[size()] = tiles;
        for (int i = 0; i < size(); i++) {
            first[i] = Math.toIntExact(pieces.getLong(i * PieceTable.PIECE_BYTES + PieceTable.FIRST_TILE));
        }
        return first;
    }

    boolean hasFloat64() {
        return hasFloat64;
    }

    /** The tensor that a piece belongs to. */
    public int entryOf(int piece) {
        int at = Arrays.binarySearch(firstPiece, piece);
        return at >= 0 ? at : -at - 2;
    }

    /**
     * Sets the address of a tensor; 0 makes it absent. A tensor without elements is present at any other address.
     *
     * @throws UnboundPieceException if the address is not a multiple of the element size
     */
    public void set(int entry, long address) {
        if (address % elementBytes[entry] != 0) {
            throw new UnboundPieceException(
                    firstPiece[entry],
                    "is at address 0x" + Long.toHexString(address) + ", which is not a multiple of its element size, "
                            + elementBytes[entry]);
        }
        Strided how = strided[entry];
        long bytes = (how == null ? pieceLength(entry) : how.inner()) * elementBytes[entry];
        for (int piece = firstPiece[entry]; piece < firstPiece[entry + 1]; piece++) {
            long at = address != 0 ? address + (piece - firstPiece[entry]) * bytes : 0;
            pieces.putLong(piece * PieceTable.PIECE_BYTES + PieceTable.ADDRESS, at);
        }
    }

    /** Returns another tensor that shares memory with this one, or -1. */
    public int overlapping(int entry) {
        for (int i = 0; i < lengths.length; i++) {
            boolean apart = end(i) <= address(entry) || end(entry) <= address(i);
            boolean both = address(i) != 0 && address(entry) != 0 && lengths[i] > 0 && lengths[entry] > 0;
            if (i != entry && !apart && both) return i;
        }
        return -1;
    }

    private long address(int entry) {
        return pieces.getLong(firstPiece[entry] * PieceTable.PIECE_BYTES + PieceTable.ADDRESS);
    }

    private long end(int entry) {
        return address(entry) + lengths[entry] * elementBytes[entry];
    }
}
