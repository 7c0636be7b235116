// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal;

import dev.gradclip.DType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** The rows of a CUDA plan, one a tensor; an absent tensor has address 0 and keeps its tiles. */
public final class DeviceTable {
    final ByteBuffer rows;
    private final long[] lengths;
    private final int[] elementBytes;

    /** Tensors of these types and lengths, none of which has memory yet. */
    public DeviceTable(DType[] dtypes, long[] lengths) {
        this.lengths = lengths;
        elementBytes = new int[lengths.length];
        rows = ByteBuffer.allocateDirect(Math.multiplyExact(lengths.length, PieceTable.ROW_BYTES))
                .order(ByteOrder.nativeOrder());
        long tile = 0;
        for (int i = 0; i < lengths.length; i++) {
            elementBytes[i] = dtypes[i].bytes();
            int at = i * PieceTable.ROW_BYTES;
            rows.putLong(at + PieceTable.COUNT, lengths[i]);
            rows.putLong(at + PieceTable.FIRST_TILE, tile);
            rows.putInt(at + PieceTable.SEGMENT, i);
            rows.putInt(at + PieceTable.DTYPE, dtypes[i].ordinal());
            tile = Math.addExact(tile, Tiles.count(dtypes[i], lengths[i]));
        }
    }

    int size() {
        return lengths.length;
    }

    /**
     * Places a tensor, or with address 0 makes it absent.
     *
     * @throws RowException if the address is not a multiple of the element size
     */
    public void set(int tensor, long address) {
        int at = tensor * PieceTable.ROW_BYTES;
        if (address % elementBytes[tensor] != 0) {
            throw new RowException(
                    tensor,
                    "is at address 0x" + Long.toHexString(address) + ", which is not a multiple of its element size, "
                            + elementBytes[tensor]);
        }
        rows.putLong(at + PieceTable.ADDRESS, lengths[tensor] > 0 ? address : 0);
    }

    /** Another tensor that shares memory with this one, or -1. */
    public int overlapping(int tensor) {
        for (int i = 0; i < lengths.length; i++) {
            boolean apart = end(i) <= address(tensor) || end(tensor) <= address(i);
            if (i != tensor && !apart && address(i) != 0 && address(tensor) != 0) return i;
        }
        return -1;
    }

    private long address(int tensor) {
        return rows.getLong(tensor * PieceTable.ROW_BYTES + PieceTable.ADDRESS);
    }

    private long end(int tensor) {
        return address(tensor) + lengths[tensor] * elementBytes[tensor];
    }
}
