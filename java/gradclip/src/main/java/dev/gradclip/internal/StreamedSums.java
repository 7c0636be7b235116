// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal;

import dev.gradclip.DType;
import dev.gradclip.NormType;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Sums of tensors whose pieces come one after another; what is kept grows with the number of tensors only. */
public final class StreamedSums implements AutoCloseable {
    private final NormType type;
    private final PieceWork work;
    private final ScaledNorm norm = new ScaledNorm();
    private final TensorSums current = new TensorSums();
    private @Nullable DType dtype;
    private boolean ended;
    private boolean closed;
    private SegmentSums sums = new SegmentSums(16);
    private int tensors;

    /** Starts with no tensor. */
    public StreamedSums(NormType type, PieceWork work) {
        this.type = type;
        this.work = work;
    }

    /** The next piece or pieces of the current tensor. */
    public void add(List<Piece> pieces) {
        for (Piece piece : pieces) add(piece);
    }

    private void add(Piece piece) {
        requireOpen();
        if (piece.length() == 0) return;
        if (dtype != null && dtype != piece.dtype()) {
            throw new IllegalArgumentException(
                    "a piece of " + piece.dtype() + " in a tensor of " + dtype + "; call endTensor between tensors");
        }
        if (ended) {
            throw new IllegalArgumentException(
                    "the piece before was not a multiple of 8 KiB, so it must be the tensor's last; "
                            + "call endTensor between tensors");
        }
        dtype = piece.dtype();
        ended = piece.length() % Tiles.elements(piece.dtype()) != 0;
        work.measure(piece, type, current);
    }

    /** Ends the current tensor and returns its norm. */
    public double endTensor() {
        requireOpen();
        if (tensors == sums.middle.length) sums = sums.grown(2 * tensors);
        current.finish(NormKind.of(type), sums, tensors);
        dtype = null;
        ended = false;
        return norm(tensors++).value();
    }

    /** Tensors ended. */
    public int tensors() {
        return tensors;
    }

    /** The norm of one tensor; overwritten by the next call. */
    public ScaledNorm norm(int tensor) {
        sums.total(type, tensor, tensor + 1, norm);
        return norm;
    }

    /** The norm over all tensors ended; overwritten by the next call. */
    public ScaledNorm total() {
        requireOpen();
        sums.total(type, 0, tensors, norm);
        return norm;
    }

    private void requireOpen() {
        if (closed) throw new IllegalStateException("it is closed");
    }

    @Override
    public void close() {
        closed = true;
        work.close();
    }
}
