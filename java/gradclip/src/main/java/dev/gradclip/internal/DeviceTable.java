// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal;

import dev.gradclip.DType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * The rows of a CUDA plan, one a segment: an entry (a gradient or a parameter) has one, or one for each of its rows. An absent
 * entry has address 0 and keeps its tiles.
 */
public final class DeviceTable {
    final ByteBuffer rows;
    private final long[] lengths;
    private final int[] elementBytes;
    private final int[] firstRow;
    private final int gradients;

    /**
     * Entries of these types, lengths and numbers of rows, none of which has memory yet.
     *
     * @param gradients how many come before the parameters
     */
    public DeviceTable(DType[] dtypes, long[] lengths, int[] rowCounts, int gradients) {
        this.lengths = lengths;
        elementBytes = new int[lengths.length];
        firstRow = new int[lengths.length + 1];
        for (int i = 0; i < lengths.length; i++) firstRow[i + 1] = Math.addExact(firstRow[i], rowCounts[i]);
        this.gradients = firstRow[gradients];
        rows = ByteBuffer.allocateDirect(Math.multiplyExact(size(), PieceTable.ROW_BYTES))
                .order(ByteOrder.nativeOrder());
        long tile = 0;
        for (int i = 0; i < lengths.length; i++) {
            elementBytes[i] = dtypes[i].bytes();
            long length = rowLength(i);
            for (int row = firstRow[i]; row < firstRow[i + 1]; row++) {
                int at = row * PieceTable.ROW_BYTES;
                rows.putLong(at + PieceTable.COUNT, length);
                rows.putLong(at + PieceTable.FIRST_TILE, tile);
                rows.putInt(at + PieceTable.SEGMENT, row);
                rows.putInt(at + PieceTable.DTYPE, dtypes[i].ordinal());
                tile = Math.addExact(tile, Tiles.count(dtypes[i], length));
            }
        }
    }

    private long rowLength(int entry) {
        return lengths[entry] / (firstRow[entry + 1] - firstRow[entry]);
    }

    /** Segments. */
    int size() {
        return firstRow[lengths.length];
    }

    /** Those of gradients. */
    int gradients() {
        return gradients;
    }

    /** The entry that a row is of. */
    public int entryOf(int row) {
        int at = Arrays.binarySearch(firstRow, row);
        return at >= 0 ? at : -at - 2;
    }

    /**
     * Places an entry, or with address 0 makes it absent.
     *
     * @throws RowException if the address is not a multiple of the element size
     */
    public void set(int entry, long address) {
        if (address % elementBytes[entry] != 0) {
            throw new RowException(
                    firstRow[entry],
                    "is at address 0x" + Long.toHexString(address) + ", which is not a multiple of its element size, "
                            + elementBytes[entry]);
        }
        boolean present = lengths[entry] > 0 && address != 0;
        long bytes = rowLength(entry) * elementBytes[entry];
        for (int row = firstRow[entry]; row < firstRow[entry + 1]; row++) {
            long at = present ? address + (row - firstRow[entry]) * bytes : 0;
            rows.putLong(row * PieceTable.ROW_BYTES + PieceTable.ADDRESS, at);
        }
    }

    /** Another entry that shares memory with this one, or -1. */
    public int overlapping(int entry) {
        for (int i = 0; i < lengths.length; i++) {
            boolean apart = end(i) <= address(entry) || end(entry) <= address(i);
            if (i != entry && !apart && address(i) != 0 && address(entry) != 0) return i;
        }
        return -1;
    }

    private long address(int entry) {
        return rows.getLong(firstRow[entry] * PieceTable.ROW_BYTES + PieceTable.ADDRESS);
    }

    private long end(int entry) {
        return address(entry) + lengths[entry] * elementBytes[entry];
    }
}
