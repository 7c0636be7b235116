// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.jni;

import java.nio.Buffer;
import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;

/**
 * The native methods of the CPU library, one Java declaration per C function.
 *
 * <p>A table has an entry of {@code PieceTable.PIECE_BYTES} bytes for each piece, at the address {@code table}; {@code
 * arrays[piece]} is the heap array of a piece whose address is 0, and null for memory outside the heap. Tiles are
 * numbered through the whole table. Every method may be called from many threads on disjoint ranges of tiles. {@code
 * level} is a SIMD level below {@link #usableLevels()}.
 */
public final class NativeCpu {
    private NativeCpu() {}

    /** The version, and a hash of the sources that the library was built from. */
    static native String buildId();

    /** The number of SIMD levels that this processor can run; the levels are numbered from 0. */
    static native int usableLevels();

    /** The level's name: {@code v2}, {@code v3}, {@code v4} or {@code neon}. */
    static native String levelName(int level);

    /** Returns the address of a direct buffer's first byte, whatever its position. */
    public static native long address(Buffer direct);

    /** Returns a buffer over memory that the caller keeps alive; at most 2^31 - 1 bytes. */
    public static native ByteBuffer view(long address, long bytes);

    /**
     * Writes one partial per tile of {@code [firstTile, lastTile)}.
     *
     * @param norm the ordinal of {@code NormKind}
     * @param p the exponent of {@code NormKind.POWER}, else ignored
     * @param maxima the address of one double per segment, the divisor of {@code NormKind.POWER}; else ignored
     * @param partials the address of the partial of tile 0
     * @param planeStride the distance in doubles between the middle, low and high planes; 0 if no piece is FLOAT64
     * @return bit 0 is set if a tile has its partial in the low plane, bit 1 if one has it in the high plane
     */
    public static native int measure(
            int level,
            long table,
            int pieces,
            @Nullable Object[] arrays,
            int norm,
            double p,
            long maxima,
            long firstTile,
            long lastTile,
            long partials,
            long planeStride);

    /** Multiplies every element by its segment's coefficient; they lie at {@code coefficients}, a double each. */
    public static native void scale(
            int level,
            long table,
            int pieces,
            @Nullable Object[] arrays,
            long coefficients,
            long firstTile,
            long lastTile);

    /** Clamps to {@code [min, max]}; returns how many elements changed. */
    public static native long clamp(
            int level,
            long table,
            int pieces,
            @Nullable Object[] arrays,
            double min,
            double max,
            long firstTile,
            long lastTile);

    /** Sets NaN and infinities to +0; returns how many elements changed. */
    public static native long zeroNonFinite(
            int level, long table, int pieces, @Nullable Object[] arrays, long firstTile, long lastTile);

    /**
     * Updates weights and state from the gradients in the tiles; returns how many gradients a limit changed.
     *
     * @param pieces the number of gradient pieces; the pieces of their weights follow in the table
     * @param numbers address of an {@code UpdateTable}
     * @param state addresses of the state's chunks, slot after slot
     * @param firstChunks the number of each gradient piece's first chunk
     * @param chunksOfSlot the number of chunks of a slot
     */
    public static native long update(
            int level,
            long table,
            int pieces,
            @Nullable Object[] arrays,
            long numbers,
            long state,
            long firstChunks,
            int chunksOfSlot,
            long firstTile,
            long lastTile);
}
