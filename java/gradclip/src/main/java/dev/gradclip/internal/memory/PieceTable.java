// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.memory;

/** The layout of one entry of the piece table: the struct in cuda/include/gradclip/piece.hpp. */
public final class PieceTable {
    private PieceTable() {}

    /** int64: the address of the first element; 0 for a heap array. */
    public static final int ADDRESS = 0;

    /** int64: the offset of the first element in the heap array, in bytes. */
    public static final int ARRAY_OFFSET = 8;

    /** int64: the number of elements; 0 for an absent tensor. */
    public static final int COUNT = 16;

    /** int64: the number of this piece's first tile in the plan. */
    public static final int FIRST_TILE = 24;

    /** int32: the segment that this piece belongs to. */
    public static final int SEGMENT = 32;

    /** int32: the ordinal of the DType. */
    public static final int DTYPE = 36;

    /** int64: the number of elements of each block; 0 if all elements lie side by side. */
    public static final int INNER = 40;

    /** int64: the distance between the beginnings of two blocks, in elements. */
    public static final int STRIDE = 48;

    public static final int PIECE_BYTES = 56;
}
