// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.stream;

import dev.gradclip.ClipRule;
import dev.gradclip.GroupRule;
import dev.gradclip.NonFinitePolicy;
import dev.gradclip.NormRule;
import dev.gradclip.ValueRule;
import dev.gradclip.internal.memory.HostMemory;
import dev.gradclip.internal.memory.Piece;
import dev.gradclip.internal.rule.NormLimit;
import org.jspecify.annotations.Nullable;

/** Applies a decided rule to the pieces of a streaming clip. */
public final class StreamedApply {
    private final ClipRule rule;
    private final PieceKernels kernels;

    public StreamedApply(ClipRule rule, PieceKernels kernels) {
        this.rule = rule;
        this.kernels = kernels;
    }

    /** Returns the rule, or the first of a {@link GroupRule}, whose rules all clamp or all measure one type of norm. */
    public static ClipRule first(ClipRule rule) {
        return rule instanceof GroupRule groups
                ? groups.rules().values().iterator().next()
                : rule;
    }

    public static boolean comparesWeights(ClipRule rule) {
        if (rule instanceof GroupRule groups) {
            return groups.rules().values().stream().anyMatch(StreamedApply::comparesWeights);
        }
        return rule instanceof NormRule norm && norm.form() == NormRule.Form.ADAPTIVE;
    }

    public boolean clamps() {
        return first(rule) instanceof ValueRule;
    }

    /** Sets NaN and infinities to 0; returns how many elements changed. */
    public long zeroNonFinite(HostMemory piece) {
        piece.requireLasting("the piece");
        requireWritable(piece.isReadOnly());
        long changed = 0;
        for (Piece part : piece.pieces()) changed += kernels.zeroNonFinite(part);
        return changed;
    }

    /** Applies the rule to a piece that begins at an element; returns how many elements a value rule changed. */
    public long apply(StreamedDecision decision, int tensor, long from, HostMemory piece) {
        piece.requireLasting("the piece");
        long zeroed = rule.nonFinitePolicy() == NonFinitePolicy.ZERO ? zeroNonFinite(piece) : 0;
        if (clamps()) return clamp(decision.clampOf(tensor), piece, zeroed);
        long at = from;
        for (Piece part : piece.pieces()) {
            scale(decision, tensor, at, part);
            at += part.length();
        }
        return 0;
    }

    private void scale(StreamedDecision decision, int tensor, long from, Piece part) {
        for (long at = 0; at < part.length(); ) {
            double coefficient = decision.coefficientAt(tensor, from + at);
            long count = Math.min(decision.runLength(tensor, from + at), part.length() - at);
            if (NormLimit.changes(coefficient, part.dtype())) {
                requireWritable(part.readOnly());
                kernels.scale(count == part.length() ? part : part.slice(at, count), coefficient);
            }
            at += count;
        }
    }

    /** Clamps; returns the changed elements, including the zeroed ones; one that was zeroed and clamped counts once. */
    private long clamp(@Nullable ValueRule clamp, HostMemory piece, long zeroed) {
        if (clamp == null && rule.inverseScale() == 1) return zeroed;
        requireWritable(piece.isReadOnly());
        long changed = clamp == null || (clamp.min() <= 0 && clamp.max() >= 0) ? zeroed : 0;
        for (Piece part : piece.pieces()) {
            if (NormLimit.changes(rule.inverseScale(), part.dtype())) kernels.scale(part, rule.inverseScale());
            if (clamp != null) changed += kernels.clamp(part, clamp.min(), clamp.max());
        }
        return changed;
    }

    private static void requireWritable(boolean isReadOnly) {
        if (isReadOnly) throw new IllegalStateException("the piece is read-only, and this rule may write to it");
    }
}
