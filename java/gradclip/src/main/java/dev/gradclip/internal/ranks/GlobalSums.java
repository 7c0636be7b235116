// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.ranks;

import dev.gradclip.DType;
import dev.gradclip.NonFiniteGradientException;
import dev.gradclip.NormType;
import dev.gradclip.RankMismatchException;
import dev.gradclip.internal.reduce.NormKind;
import dev.gradclip.internal.reduce.ScaledNorm;
import dev.gradclip.internal.reduce.SegmentLayout;
import dev.gradclip.internal.reduce.SegmentSums;
import dev.gradclip.internal.reduce.TensorSums;
import dev.gradclip.internal.rule.TensorRange;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The sums of every tensor over all ranks, with the bits of one process that holds all of them. */
public final class GlobalSums {
    private final List<Contribution> ranks;
    private final List<List<Coverage.Held>> counted;
    private final int[][] offsets;
    private final SegmentLayout segments;
    private final SegmentSums sums;
    private final Map<String, TensorRange> groups;

    private GlobalSums(List<Contribution> ranks) {
        this.ranks = ranks;
        counted = Coverage.of(ranks);
        offsets = ranks.stream().map(Contribution::offsets).toArray(int[][]::new);
        segments = segments();
        sums = new SegmentSums(segments.gradients());
        groups = TensorRange.of(ranks.get(0).layout().groupStarts(), tensors());
        if (ranks.get(0).type() != null) add(ranks.get(0).type());
    }

    /**
     * Adds up what all ranks have sent, in the order of the ranks.
     *
     * @throws RankMismatchException if that does not cover every tensor exactly once
     */
    public static GlobalSums of(List<byte[]> sent) {
        if (sent.isEmpty()) throw new IllegalArgumentException("a norm over ranks needs one rank or more");
        List<Contribution> ranks = new ArrayList<>();
        for (int i = 0; i < sent.size(); i++) ranks.add(ContributionFormat.read(sent.get(i), i));
        return new GlobalSums(ranks);
    }

    private SegmentLayout segments() {
        int[] rows = new int[counted.size()];
        long[] lengths = new long[rows.length];
        for (int i = 0; i < rows.length; i++) {
            lengths[i] = tensor(i).total();
            long length =
                    counted.get(i).isEmpty() ? 0 : counted.get(i).get(0).shard().segmentLength();
            rows[i] = length == 0 ? 1 : Math.toIntExact(lengths[i] / length);
        }
        return new SegmentLayout(rows, lengths, false);
    }

    private void add(NormType type) {
        NormKind kind = NormKind.of(type);
        TensorSums whole = new TensorSums();
        for (int i = 0; i < counted.size(); i++) {
            boolean isCut = false;
            for (Coverage.Held held : counted.get(i)) {
                Shard shard = held.shard();
                SegmentSums from = ranks.get(held.rank()).sums();
                int at = offsets[held.rank()][i];
                if (shard.isOfSegments()) {
                    from.copyTo(at, shard.segments(), sums, segments.from(i) + shard.firstSegment());
                } else {
                    whole.addCut(kind, type.p(), shard.cut(), from, at);
                    isCut = true;
                }
            }
            if (isCut) whole.finish(kind, sums, segments.from(i));
        }
    }

    private Shard tensor(int tensor) {
        return ranks.get(0).layout().shards().get(tensor);
    }

    public int tensors() {
        return counted.size();
    }

    public List<String> names() {
        return ranks.get(0).layout().shards().stream().map(Shard::name).toList();
    }

    public String name(int tensor) {
        return tensor(tensor).name();
    }

    DType dtype(int tensor) {
        return tensor(tensor).dtype();
    }

    /** The number of elements of a tensor over all ranks; 0 if its gradient is absent. */
    long elements(int tensor) {
        List<Coverage.Held> held = counted.get(tensor);
        return held.isEmpty() || !held.get(0).shard().isPresent()
                ? 0
                : tensor(tensor).total();
    }

    /** The segments of every tensor over all ranks. */
    public SegmentLayout layout() {
        return segments;
    }

    public Map<String, TensorRange> groups() {
        return groups;
    }

    public String rule() {
        return ranks.get(0).rule();
    }

    public @Nullable NormType type() {
        return ranks.get(0).type();
    }

    public int ranks() {
        return ranks.size();
    }

    /** Writes the norm over the segments {@code [from, to)} to {@code norm}, after unscaling. */
    public void total(int from, int to, ScaledNorm norm) {
        total(from, to, 1, norm);
    }

    /** Writes the norm over every {@code step}-th of the segments {@code [from, to)} to {@code norm}, after unscaling. */
    void total(int from, int to, int step, ScaledNorm norm) {
        NormType measured = type();
        if (measured == null) throw new IllegalStateException("the rule measures no norm");
        if (step == 1) sums.total(measured, from, to, norm);
        else sums.total(measured, from, to, step, norm);
        norm.multiply(ranks.get(0).inverseScale());
    }

    /** Returns the exception for the first tensor that is not finite, and the first such rank; null if there is none. */
    public @Nullable NonFiniteGradientException nonFinite() {
        if (type() == null) return null;
        for (int i = 0; i < tensors(); i++) {
            for (int r = 0; r < ranks.size(); r++) {
                NonFiniteGradientException found = nonFinite(i, r);
                if (found != null) return found;
            }
        }
        return null;
    }

    private @Nullable NonFiniteGradientException nonFinite(int tensor, int rank) {
        Shard shard = ranks.get(rank).layout().shards().get(tensor);
        SegmentSums own = ranks.get(rank).sums();
        int from = offsets[rank][tensor];
        int to = offsets[rank][tensor + 1];
        double found = own.nonFinite(from, to);
        if (found == 0) return null;
        if (segments.rows(tensor) == 1) return new NonFiniteGradientException(shard.name(), -1, rank, found);
        int at = from;
        while (own.nonFinite(at, at + 1) == 0) at++;
        int row = shard.firstSegment() + at - from;
        return new NonFiniteGradientException(shard.name(), row, rank, own.nonFinite(at, at + 1));
    }

    /** The names of tensors of which a replica has other sums than what is counted. */
    public List<String> differingReplicas() {
        List<String> names = new ArrayList<>();
        for (int i = 0; i < tensors(); i++) if (differs(i)) names.add(name(i));
        return names;
    }

    private boolean differs(int tensor) {
        for (int r = 0; r < ranks.size(); r++) {
            Shard shard = ranks.get(r).layout().shards().get(tensor);
            if (shard.length() == 0 || shard.isCountedBy(r)) continue;
            int count = offsets[r][tensor + 1] - offsets[r][tensor];
            SegmentSums own = ranks.get(r).sums();
            SegmentSums counting = ranks.get(shard.owner()).sums();
            if (!own.equal(offsets[r][tensor], counting, offsets[shard.owner()][tensor], count)) return true;
        }
        return false;
    }
}
