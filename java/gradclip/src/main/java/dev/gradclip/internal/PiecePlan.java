// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal;

import java.util.List;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** A plan of one piece at a time, kept as long as pieces have the same type and length, as windows of a long tensor have. */
public final class PiecePlan {
    private final Function<List<List<Piece>>, CpuPlan> planner;
    private @Nullable CpuPlan plan;

    /**
     * No piece yet.
     *
     * @param planner makes a plan of one segment
     */
    public PiecePlan(Function<List<List<Piece>>, CpuPlan> planner) {
        this.planner = planner;
    }

    /** A plan whose only segment is the piece. */
    public CpuPlan of(Piece piece) {
        CpuPlan current = plan;
        if (current != null) {
            Piece bound = current.piece(0, 0);
            if (bound.dtype() == piece.dtype() && bound.length() == piece.length()) {
                current.rebind(0, 0, piece);
                return current;
            }
        }
        current = planner.apply(List.of(List.of(piece)));
        plan = current;
        return current;
    }
}
