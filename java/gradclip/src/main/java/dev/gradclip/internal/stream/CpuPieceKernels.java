// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.stream;

import dev.gradclip.NormType;
import dev.gradclip.internal.cpu.CpuPlan;
import dev.gradclip.internal.memory.Piece;
import dev.gradclip.internal.reduce.NormKind;
import dev.gradclip.internal.reduce.SegmentSums;
import dev.gradclip.internal.reduce.TensorSums;
import java.util.List;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Works on pieces in place, on the CPU. A plan is reused while pieces have one type and length, as those of a long
 * tensor do.
 */
public final class CpuPieceKernels implements PieceKernels {
    private final Function<List<List<Piece>>, CpuPlan> planner;
    private @Nullable CpuPlan plan;

    /** Takes a function that makes a plan of one segment. */
    public CpuPieceKernels(Function<List<List<Piece>>, CpuPlan> planner) {
        this.planner = planner;
    }

    @Override
    public void measure(Piece piece, NormType type, TensorSums sums) {
        CpuPlan bound = bound(piece);
        bound.measure(type, 0, 1);
        SegmentSums found = bound.sums();
        switch (NormKind.of(type)) {
            case INF -> sums.addMaximum(found.middle[0]);
            case POWER -> sums.addPower(type.p(), found.maximum[0], found.middle[0]);
            case L1, L2 -> bound.drain(sums);
        }
    }

    @Override
    public void scale(Piece piece, double coefficient) {
        CpuPlan bound = bound(piece);
        bound.setCoefficient(0, coefficient);
        bound.scale(0, 1);
    }

    @Override
    public long clamp(Piece piece, double min, double max) {
        return bound(piece).clamp(0, 1, min, max);
    }

    @Override
    public long zeroNonFinite(Piece piece) {
        return bound(piece).zeroNonFinite(0, 1);
    }

    private CpuPlan bound(Piece piece) {
        CpuPlan current = plan;
        if (current != null) {
            Piece before = current.piece(0, 0);
            if (before.dtype() == piece.dtype() && before.length() == piece.length()) {
                current.rebind(0, 0, piece);
                return current;
            }
        }
        current = planner.apply(List.of(List.of(piece)));
        plan = current;
        return current;
    }

    @Override
    public void close() {
        plan = null;
    }
}
