// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.stream;

import dev.gradclip.DType;
import dev.gradclip.NormType;
import dev.gradclip.internal.memory.Arenas;
import dev.gradclip.internal.memory.Piece;
import dev.gradclip.internal.reduce.NormKind;
import dev.gradclip.internal.reduce.ScaledNorm;
import dev.gradclip.internal.reduce.SegmentSums;
import dev.gradclip.internal.reduce.TensorSums;
import dev.gradclip.internal.reduce.Tiles;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Sums each row of tensors whose pieces come one after another; the memory needed grows with the number of rows. */
public final class StreamedSums implements AutoCloseable {
    private final NormType type;
    private final PieceKernels kernels;
    private final ScaledNorm norm = new ScaledNorm();
    private final TensorSums current = new TensorSums();
    private @Nullable DType dtype;
    private int rows = 1;
    private long rowLength = Long.MAX_VALUE;
    private int rowsEnded;
    private long inRow;
    private boolean ended;
    private boolean closed;

    /** True if measuring a piece threw, so that the sums may contain a part of the piece. */
    private boolean broken;

    private SegmentSums sums = new SegmentSums(16);
    private int segments;

    public StreamedSums(NormType type, PieceKernels kernels) {
        this.type = type;
        this.kernels = kernels;
    }

    /** Sets the rows of the next tensor and their length; without this call it is one row of any length. */
    public void rows(int count, long length) {
        rows = count;
        rowLength = count == 1 ? Long.MAX_VALUE : length;
    }

    /** Measures the next pieces of the current tensor. */
    public void add(List<Piece> pieces) {
        for (Piece piece : pieces) add(piece);
    }

    private void add(Piece piece) {
        requireOpen();
        if (piece.length() == 0) return;
        Arenas.requireLasting(piece, "the piece");
        if (dtype != null && dtype != piece.dtype()) {
            throw new IllegalArgumentException(
                    "a piece of " + piece.dtype() + " in a tensor of " + dtype + "; call endTensor between tensors");
        }
        dtype = piece.dtype();
        for (long at = 0; at < piece.length(); ) {
            if (rowsEnded == rows || rowLength == 0) {
                throw new IllegalArgumentException("the tensor has more elements than its " + rows + " rows of "
                        + rowLength + "; call endTensor between tensors");
            }
            long count = Math.min(rowLength - inRow, piece.length() - at);
            addToRow(count == piece.length() ? piece : piece.slice(at, count));
            at += count;
            if (inRow == rowLength) endRow();
        }
    }

    private void addToRow(Piece piece) {
        if (ended) {
            throw new IllegalArgumentException(
                    "the piece before was not a multiple of 8 KiB, so it must be the last of its tensor or row; "
                            + "call endTensor between tensors");
        }
        ended = piece.length() % Tiles.elements(piece.dtype()) != 0;
        inRow += piece.length();
        broken = true;
        kernels.measure(piece, type, current);
        broken = false;
    }

    private void endRow() {
        if (segments == sums.middle.length) sums = sums.grown(2 * segments);
        current.finish(NormKind.of(type), sums, segments++);
        rowsEnded++;
        inRow = 0;
        ended = false;
    }

    /** Ends the current tensor; rows without elements count as empty. */
    public void endTensor() {
        requireOpen();
        while (rowsEnded < rows) endRow();
        dtype = null;
        rowsEnded = 0;
        rows(1, 0);
    }

    /** The number of rows of all tensors that have ended. */
    public int segments() {
        return segments;
    }

    /** Returns the norm over the rows {@code [from, to)}, in an object that the next call overwrites. */
    public ScaledNorm total(int from, int to) {
        sums.total(type, from, to, norm);
        return norm;
    }

    /** Returns the norm over every {@code step}-th of the rows, in an object that the next call overwrites. */
    public ScaledNorm total(int from, int to, int step) {
        sums.total(type, from, to, step, norm);
        return norm;
    }

    /** Returns the norm over all tensors that have ended, in an object that the next call overwrites. */
    public ScaledNorm total() {
        requireOpen();
        return total(0, segments);
    }

    private void requireOpen() {
        if (closed) throw new IllegalStateException("it is closed");
        if (broken) {
            throw new IllegalStateException(
                    "a piece before could not be measured, so the norm is not known; begin anew with all pieces");
        }
    }

    @Override
    public void close() {
        closed = true;
        kernels.close();
    }
}
