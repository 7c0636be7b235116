// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** The tensors that a stream has ended, and what is known of the one under way: what a rule is resolved against. */
final class StreamedTensors {
    /**
     * A tensor that has ended.
     *
     * @param name that errors give
     * @param dtype FLOAT64 where nothing came
     * @param length elements measured
     * @param firstRow among those of all tensors
     * @param rows it is divided into
     * @param hasParameter whether its weights were measured too
     */
    record Streamed(String name, DType dtype, long length, int firstRow, int rows, boolean hasParameter) {
        int endRow() {
            return firstRow + rows;
        }

        /** Its row, counted among those of all tensors. */
        int row(int row) {
            return firstRow + Objects.checkIndex(row, rows);
        }
    }

    /** What is kept of each row is in arrays that double. */
    private static final int MOST_ROWS = 1 << 30;

    private final List<Streamed> ended = new ArrayList<>();
    private final Map<String, Integer> groupStarts = new LinkedHashMap<>();
    private @Nullable DType dtype;
    private long length;
    private boolean hasParameter;
    private long parameterLength;
    private int rows = 1;
    private long rowLength = -1;

    int size() {
        return ended.size();
    }

    Streamed get(int tensor) {
        return ended.get(tensor);
    }

    /** Rows of the tensors before one; before one past the last, of all. */
    int rowsBefore(int tensor) {
        return tensor == 0 ? 0 : ended.get(tensor - 1).endRow();
    }

    /** Whether pieces have come since the last tensor ended. */
    boolean isOpen() {
        return dtype != null || hasParameter;
    }

    void rows(int count, long ofLength) {
        if (isOpen()) throw new IllegalStateException("call rows before the tensor's first piece");
        if (count < 0 || ofLength < 0) {
            throw new IllegalArgumentException(
                    "a tensor has 0 rows or more, of 0 elements or more, not " + count + " of " + ofLength);
        }
        rows = Math.max(count, 1);
        rowLength = count == 0 ? 0 : ofLength;
    }

    void group(String name) {
        if (isOpen()) throw new IllegalStateException("call group between tensors, not among one's pieces");
        if (groupStarts.putIfAbsent(name, ended.size()) != null) {
            throw new IllegalArgumentException("there are two groups named '" + name + "'");
        }
    }

    void add(HostBuffer piece) {
        dtype = piece.dtype();
        length += piece.length();
    }

    void addParameter(HostBuffer piece) {
        hasParameter = true;
        parameterLength += piece.length();
    }

    /** Refuses a tensor whose elements are not those of its rows, or of its parameter, before anything is made of it. */
    void requireWhole(String name) {
        if ((long) rowsBefore(ended.size()) + rows > MOST_ROWS) {
            throw new IllegalArgumentException(
                    name + " has " + rows + " rows, with which there are more than " + MOST_ROWS);
        }
        if (rowLength >= 0 && length != 0 && (length % rows != 0 || length / rows != rowLength)) {
            throw new IllegalArgumentException(
                    name + " has " + length + " elements, which are not its " + rows + " rows of " + rowLength);
        }
        if (hasParameter && parameterLength != length) {
            throw new IllegalArgumentException("the parameter of " + name + " has " + parameterLength
                    + " elements, but its gradient has " + length);
        }
    }

    /** Ends the tensor under way. */
    Streamed end(String name) {
        DType type = dtype == null ? DType.FLOAT64 : dtype;
        Streamed tensor = new Streamed(name, type, length, rowsBefore(ended.size()), rows, hasParameter);
        ended.add(tensor);
        dtype = null;
        length = 0;
        hasParameter = false;
        parameterLength = 0;
        rows = 1;
        rowLength = -1;
        return tensor;
    }

    Map<String, Group> groups() {
        return Group.of(groupStarts, ended.size());
    }

    Segments segments() {
        int[] counts = new int[ended.size()];
        long[] lengths = new long[ended.size()];
        boolean parameters = false;
        boolean elements = false;
        for (int i = 0; i < counts.length; i++) {
            counts[i] = ended.get(i).rows();
            lengths[i] = ended.get(i).length();
            parameters |= ended.get(i).hasParameter();
            elements |= lengths[i] > 0;
        }
        // Where nothing came there is nothing that parameters could be missing for.
        return new Segments(counts, lengths, parameters || !elements);
    }
}
