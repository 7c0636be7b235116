// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import dev.gradclip.internal.CpuPlan;
import dev.gradclip.internal.Cuda;
import dev.gradclip.internal.DevicePieces;
import dev.gradclip.internal.HostPieces;
import dev.gradclip.internal.NativeLibrary;
import dev.gradclip.internal.Piece;
import dev.gradclip.internal.PieceWork;
import dev.gradclip.internal.Team;
import org.jspecify.annotations.Nullable;

/** What a rule does to the pieces of a stream, once it is decided. */
final class StreamedPieces {
    private final ClipRule rule;
    private final PieceWork work;

    StreamedPieces(ClipRule rule, PieceWork work) {
        this.rule = rule;
        this.work = work;
    }

    static PieceWork work(Backend backend, int threads) {
        backend.require();
        if (threads < 0) throw new IllegalArgumentException("threads must be 1 or more, or 0, but is " + threads);
        if (backend == Backend.CUDA) return new DevicePieces(Cuda.currentDevice());
        Team team = Team.ofThreads(threads == 0 ? Team.defaultThreads() : threads);
        if (backend == Backend.JAVA) return new HostPieces(segments -> CpuPlan.java(segments, team));
        int level = NativeLibrary.instance().level();
        return new HostPieces(segments -> CpuPlan.nativeCpu(segments, team, level));
    }

    /** A rule that tells what a rule per group does: all of them clamp, or all go by one type of norm. */
    static ClipRule first(ClipRule rule) {
        return rule instanceof GroupRule groups
                ? groups.rules().values().iterator().next()
                : rule;
    }

    static boolean comparesParameters(ClipRule rule) {
        if (rule instanceof GroupRule groups) {
            return groups.rules().values().stream().anyMatch(StreamedPieces::comparesParameters);
        }
        return rule instanceof NormRule norm && norm.form() == NormRule.Form.ADAPTIVE;
    }

    boolean clamps() {
        return first(rule) instanceof ValueRule;
    }

    /** Sets NaN and infinities to 0; returns how many elements changed. */
    long zeroNonFinite(HostBuffer piece) {
        piece.requireLasting("the piece");
        requireWritable(piece.isReadOnly());
        long changed = 0;
        for (Piece part : piece.pieces) changed += work.zeroNonFinite(part);
        return changed;
    }

    /** Returns how many elements a clamp changed. */
    long apply(StreamedDecision decision, int tensor, long from, HostBuffer piece) {
        piece.requireLasting("the piece");
        long zeroed = rule.nonFinitePolicy() == NonFinitePolicy.ZERO ? zeroNonFinite(piece) : 0;
        if (clamps()) return clamp(decision.clampOf(tensor), piece, zeroed);
        long at = from;
        for (Piece part : piece.pieces) {
            scale(decision, tensor, at, part);
            at += part.length();
        }
        return 0;
    }

    private void scale(StreamedDecision decision, int tensor, long from, Piece part) {
        for (long at = 0; at < part.length(); ) {
            double coefficient = decision.coefficientAt(tensor, from + at);
            long count = Math.min(decision.runLength(tensor, from + at), part.length() - at);
            if (Coefficients.changes(coefficient, part.dtype())) {
                requireWritable(part.readOnly());
                work.scale(count == part.length() ? part : part.slice(at, count), coefficient);
            }
            at += count;
        }
    }

    /** Those zeroed before count as changed; one that is then clamped away from 0 counts once. */
    private long clamp(@Nullable ValueRule clamp, HostBuffer piece, long zeroed) {
        if (clamp == null && rule.inverseScale() == 1) return zeroed;
        requireWritable(piece.isReadOnly());
        long changed = clamp == null || (clamp.min() <= 0 && clamp.max() >= 0) ? zeroed : 0;
        for (Piece part : piece.pieces) {
            if (Coefficients.changes(rule.inverseScale(), part.dtype())) work.scale(part, rule.inverseScale());
            if (clamp != null) changed += work.clamp(part, clamp.min(), clamp.max());
        }
        return changed;
    }

    private static void requireWritable(boolean isReadOnly) {
        if (isReadOnly) throw new IllegalStateException("the piece is read-only, and this rule may write to it");
    }
}
