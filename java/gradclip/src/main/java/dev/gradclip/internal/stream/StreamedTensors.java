// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.stream;

import dev.gradclip.DType;
import dev.gradclip.internal.memory.HostMemory;
import dev.gradclip.internal.reduce.SegmentLayout;
import dev.gradclip.internal.rule.TensorRange;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** The tensors of a streaming clip that have ended, and the current one; a rule is resolved for them. */
public final class StreamedTensors {
    /**
     * A tensor that has ended.
     *
     * @param name the name in error messages
     * @param dtype the type of its pieces; FLOAT64 if it had none
     * @param length the number of elements measured
     * @param firstRow its first row, counted over all tensors
     * @param rows the number of its rows
     * @param hasWeights true if its weights were measured too
     */
    public record Streamed(String name, DType dtype, long length, int firstRow, int rows, boolean hasWeights) {
        public int endRow() {
            return firstRow + rows;
        }

        /** The index of one of its rows, counted over all tensors. */
        public int row(int row) {
            return firstRow + Objects.checkIndex(row, rows);
        }
    }

    /** The limit on rows, because the figures of each row are in arrays whose size is doubled. */
    private static final int MOST_ROWS = 1 << 30;

    private final List<Streamed> ended = new ArrayList<>();
    private final Map<String, Integer> groupStarts = new LinkedHashMap<>();
    private @Nullable DType dtype;
    private long length;
    private boolean hasWeights;
    private long weightsLength;
    private int rows = 1;
    private long rowLength = -1;

    public int size() {
        return ended.size();
    }

    public Streamed get(int tensor) {
        return ended.get(tensor);
    }

    public List<String> names() {
        return ended.stream().map(Streamed::name).toList();
    }

    /** The number of rows of all tensors before this one, which may be the index after the last. */
    public int rowsBefore(int tensor) {
        return tensor == 0 ? 0 : ended.get(tensor - 1).endRow();
    }

    /** Returns true if a piece of the current tensor was added. */
    public boolean isOpen() {
        return dtype != null || hasWeights;
    }

    public void rows(int count, long ofLength) {
        if (isOpen()) throw new IllegalStateException("call rows before the tensor's first piece");
        if (count < 0 || ofLength < 0) {
            throw new IllegalArgumentException(
                    "a tensor has 0 rows or more, of 0 elements or more, not " + count + " of " + ofLength);
        }
        rows = Math.max(count, 1);
        rowLength = count == 0 ? 0 : ofLength;
    }

    public void group(String name) {
        if (isOpen()) throw new IllegalStateException("call group between tensors, not among one's pieces");
        if (groupStarts.putIfAbsent(name, ended.size()) != null) {
            throw new IllegalArgumentException("there are two groups named '" + name + "'");
        }
    }

    public void add(HostMemory piece) {
        dtype = piece.dtype();
        length += piece.length();
    }

    public void addWeights(HostMemory piece) {
        hasWeights = true;
        weightsLength += piece.length();
    }

    /** Throws if the current tensor has another number of elements than its rows or its weights. */
    public void requireWhole(String name) {
        if ((long) rowsBefore(ended.size()) + rows > MOST_ROWS) {
            throw new IllegalArgumentException(
                    name + " has " + rows + " rows, with which there are more than " + MOST_ROWS);
        }
        if (rowLength >= 0 && length != 0 && (length % rows != 0 || length / rows != rowLength)) {
            throw new IllegalArgumentException(
                    name + " has " + length + " elements, which are not its " + rows + " rows of " + rowLength);
        }
        if (hasWeights && weightsLength != length) {
            throw new IllegalArgumentException(
                    "the parameter of " + name + " has " + weightsLength + " elements, but its gradient has " + length);
        }
    }

    /** Ends the current tensor and returns it. */
    public Streamed end(String name) {
        DType type = dtype == null ? DType.FLOAT64 : dtype;
        Streamed tensor = new Streamed(name, type, length, rowsBefore(ended.size()), rows, hasWeights);
        ended.add(tensor);
        dtype = null;
        length = 0;
        hasWeights = false;
        weightsLength = 0;
        rows = 1;
        rowLength = -1;
        return tensor;
    }

    public Map<String, TensorRange> groups() {
        return TensorRange.of(groupStarts, ended.size());
    }

    public SegmentLayout segments() {
        int[] counts = new int[ended.size()];
        long[] lengths = new long[ended.size()];
        boolean weights = false;
        boolean elements = false;
        for (int i = 0; i < counts.length; i++) {
            counts[i] = ended.get(i).rows();
            lengths[i] = ended.get(i).length();
            weights |= ended.get(i).hasWeights();
            elements |= lengths[i] > 0;
        }
        // Without elements no weights are missing.
        return new SegmentLayout(counts, lengths, weights || !elements);
    }
}
