// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.memory;

/** Layout of one row of the table that native code reads; the same struct stands in cuda/include/gradclip/piece.hpp. */
public final class PieceTable {
    private PieceTable() {}

    /** int64: address of the first element; 0 for a heap array. */
    public static final int ADDRESS = 0;

    /** int64: bytes from the start of the heap array to the first element. */
    public static final int ARRAY_OFFSET = 8;

    /** int64: elements; 0 for an absent tensor. */
    public static final int COUNT = 16;

    /** int64: number of this piece's first tile in the plan. */
    public static final int FIRST_TILE = 24;

    /** int32: the segment (tensor) this piece belongs to. */
    public static final int SEGMENT = 32;

    /** int32: ordinal of the DType. */
    public static final int DTYPE = 36;

    public static final int PIECE_BYTES = 40;
}
