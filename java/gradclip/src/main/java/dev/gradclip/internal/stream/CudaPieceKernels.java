// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.stream;

import dev.gradclip.ClipRule;
import dev.gradclip.DType;
import dev.gradclip.NonFinitePolicy;
import dev.gradclip.NormType;
import dev.gradclip.internal.cuda.CudaPieceTable;
import dev.gradclip.internal.cuda.CudaPlan;
import dev.gradclip.internal.cuda.CudaRule;
import dev.gradclip.internal.cuda.DeviceCopy;
import dev.gradclip.internal.jni.NativeCuda;
import dev.gradclip.internal.memory.Piece;
import dev.gradclip.internal.reduce.NormKind;
import dev.gradclip.internal.reduce.SegmentSums;
import dev.gradclip.internal.reduce.TensorSums;
import dev.gradclip.internal.reduce.Tiles;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
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
    private ByteBuffer partials = ByteBuffer.allocateDirect(0);
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
                readPartials(bound, piece, ofPiece);
                SegmentSums sum = new SegmentSums(1);
                ofPiece.finish(NormKind.L1, sum, 0);
                sums.addPower(type.p(), max, sum.middle[0]);
            }
            case L1, L2 -> {
                bound.measure(DEFAULT_STREAM, type, 0, 1);
                readPartials(bound, piece, sums);
            }
        }
    }

    private void readPartials(CudaPlan bound, Piece piece, TensorSums sums) {
        int tiles = Math.toIntExact(Tiles.count(piece.dtype(), piece.length()));
        int planes = piece.dtype() == DType.FLOAT64 ? 3 : 1;
        if (partials.capacity() < 8 * planes * tiles) {
            partials = ByteBuffer.allocateDirect(8 * planes * tiles).order(ByteOrder.nativeOrder());
        }
        bound.partials(partials);
        sums.addPartials(partials.asDoubleBuffer(), tiles, planes);
    }

    @Override
    public void scale(Piece piece, double coefficient) {
        if (piece.length() == 0) return;
        CudaPlan bound = uploaded(piece);
        // Normalizing a norm of 1 to a target multiplies by the target, which is at most 2^127; the inverse scale
        // supplies the rest. A NaN norm makes a NaN coefficient.
        boolean isNaN = Double.isNaN(coefficient);
        double length = isNaN ? 1 : Math.min(coefficient, 0x1p127);
        double beyond = coefficient > length ? Math.min(coefficient / length, Double.MAX_VALUE) : 1;
        rule.norm(CudaRule.Granularity.ALL, ClipRule.normalizeAbove(0, length).withInverseScale(beyond));
        bound.clipWithNorm(DEFAULT_STREAM, rule, isNaN ? Double.NaN : 1);
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
        CudaPieceTable table =
                new CudaPieceTable(new DType[] {piece.dtype()}, new long[] {piece.length()}, new int[] {1}, 1);
        table.set(0, address);
        current = new CudaPlan(device, table, 0);
        plan = current;
        planned = piece;
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
