// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal;

import dev.gradclip.DType;
import dev.gradclip.NormType;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Sums of tensors whose pieces come one after another; what is kept grows with the number of tensors only. */
public final class StreamedSums implements AutoCloseable {
    private final NormType type;
    private final PiecePlan plan;
    private final ScaledNorm norm = new ScaledNorm();
    private final Fold low = new Fold();
    private final Fold middle = new Fold();
    private final Fold high = new Fold();
    private double maximum;
    private double power;
    private @Nullable DType dtype;
    private boolean ended;
    private boolean closed;
    private SegmentSums sums = new SegmentSums(16);
    private int tensors;

    /** Starts with no tensor. */
    public StreamedSums(NormType type, PiecePlan plan) {
        this.type = type;
        this.plan = plan;
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
        CpuPlan current = plan.of(piece);
        current.measure(type, 0, 1);
        SegmentSums found = current.sums();
        switch (NormKind.of(type)) {
            case INF -> maximum = Math.max(maximum, found.middle[0]);
            case POWER -> addPower(found.maximum[0], found.middle[0]);
            case L1, L2 -> current.drain(low, middle, high);
        }
    }

    private void addPower(double max, double sum) {
        if (max == 0) return;
        if (!(max <= maximum)) {
            power = (maximum == 0 ? 0 : power * Math.pow(maximum / max, type.p())) + sum;
            maximum = Math.max(maximum, max);
        } else {
            power += sum * Math.pow(max / maximum, type.p());
        }
    }

    /** Ends the current tensor and returns its norm. */
    public double endTensor() {
        requireOpen();
        if (tensors == sums.middle.length) sums = sums.grown(2 * tensors);
        sums.low[tensors] = low.finish();
        sums.middle[tensors] = middle.finish();
        sums.high[tensors] = high.finish();
        sums.maximum[tensors] = maximum;
        if (NormKind.of(type) == NormKind.INF) sums.middle[tensors] = maximum;
        if (NormKind.of(type) == NormKind.POWER) sums.middle[tensors] = power;
        maximum = 0;
        power = 0;
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
    }
}
