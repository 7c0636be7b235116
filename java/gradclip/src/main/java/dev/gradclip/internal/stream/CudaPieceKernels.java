// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.stream;

import dev.gradclip.DType;
import dev.gradclip.NonFinitePolicy;
import dev.gradclip.NormType;
import dev.gradclip.internal.cuda.CudaPartials;
import dev.gradclip.internal.cuda.CudaPieceTable;
import dev.gradclip.internal.cuda.CudaPlan;
import dev.gradclip.internal.cuda.CudaRule;
import dev.gradclip.internal.cuda.DeviceCopy;
import dev.gradclip.internal.jni.NativeCuda;
import dev.gradclip.internal.memory.Piece;
import dev.gradclip.internal.memory.Strided;
import dev.gradclip.internal.reduce.NormKind;
import dev.gradclip.internal.reduce.SegmentSums;
import dev.gradclip.internal.reduce.TensorSums;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Copies each piece to a device, works on it there and copies it back. A file of any size needs device memory for one
 * piece only.
 */
public final class CudaPieceKernels implements PieceKernels {
    private static final long DEFAULT_STREAM = 0;

    private final int device;
    private long address;
    private long capacity;
    private @Nullable CudaPlan plan;
    private @Nullable Piece planned;
    private @Nullable CudaPartials partials;
    private final CudaRule rule = new CudaRule(0);

    public CudaPieceKernels(int device) {
        this.device = device;
    }

    @Override
    public void measure(Piece piece, NormType type, TensorSums sums) {
        if (piece.length() == 0) return;
        CudaPlan bound = uploaded(piece);
        switch (NormKind.of(type)) {
            case INF -> sums.addMaximum(bound.total(bound.globalNorm(DEFAULT_STREAM, type)));
            case POWER -> {
                double max = bound.total(bound.globalNorm(DEFAULT_STREAM, NormType.INF));
                bound.globalNorm(DEFAULT_STREAM, type);
                TensorSums ofPiece = new TensorSums();
                readPartials(bound, ofPiece);
                SegmentSums sum = new SegmentSums(1);
                ofPiece.finish(NormKind.L1, sum, 0);
                sums.addPower(type.p(), max, sum.middle[0]);
            }
            case L1, L2 -> {
                bound.measure(DEFAULT_STREAM, type, 0, 1);
                readPartials(bound, sums);
            }
        }
    }

    private void readPartials(CudaPlan bound, TensorSums sums) {
        CudaPartials read = partials;
        if (read == null) throw new IllegalStateException("no piece is bound");
        bound.partials(read);
        read.addTo(sums);
    }

    @Override
    public void scale(Piece piece, double coefficient) {
        if (piece.length() == 0) return;
        CudaPlan bound = uploaded(piece);
        bound.multiply(DEFAULT_STREAM, rule, coefficient);
        download(piece);
    }

    @Override
    public long clamp(Piece piece, double min, double max) {
        return changed(piece, rule.value(min, max, 1, NonFinitePolicy.PROPAGATE));
    }

    @Override
    public long zeroNonFinite(Piece piece) {
        double none = Double.POSITIVE_INFINITY;
        return changed(piece, rule.value(-none, none, 1, NonFinitePolicy.ZERO));
    }

    private long changed(Piece piece, CudaRule clamp) {
        if (piece.length() == 0) return 0;
        CudaPlan bound = uploaded(piece);
        long changed = bound.changed(bound.clip(DEFAULT_STREAM, clamp, false));
        if (changed > 0) download(piece);
        return changed;
    }

    /** Copies the piece to the device; returns a plan of it there. */
    private CudaPlan uploaded(Piece piece) {
        CudaPlan bound = planFor(piece);
        DeviceCopy.toDevice(device, DEFAULT_STREAM, address, List.of(piece));
        return bound;
    }

    private void download(Piece piece) {
        DeviceCopy.toHost(device, DEFAULT_STREAM, address, List.of(piece));
    }

    private CudaPlan planFor(Piece piece) {
        CudaPlan current = plan;
        Piece before = planned;
        if (current != null && before != null && before.dtype() == piece.dtype() && before.length() == piece.length()) {
            return current;
        }
        closePlan();
        if (piece.byteLength() > capacity) {
            freeMemory();
            address = NativeCuda.allocate(device, piece.byteLength());
            capacity = piece.byteLength();
        }
        CudaPieceTable table = new CudaPieceTable(
                new DType[] {piece.dtype()}, new long[] {piece.length()}, new int[] {1}, new Strided[1], 1);
        table.set(0, address);
        current = new CudaPlan(device, table, 0);
        plan = current;
        planned = piece;
        partials = new CudaPartials(table);
        return current;
    }

    private void closePlan() {
        if (plan != null) plan.close();
        plan = null;
        planned = null;
    }

    private void freeMemory() {
        long memory = address;
        if (memory != 0) NativeCuda.unlessLost(() -> NativeCuda.free(device, memory));
        address = 0;
        capacity = 0;
    }

    @Override
    public void close() {
        closePlan();
        freeMemory();
    }
}
