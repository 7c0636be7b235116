// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import dev.gradclip.internal.clip.Figures;
import dev.gradclip.internal.ranks.Contribution;
import dev.gradclip.internal.ranks.GlobalSums;
import dev.gradclip.internal.ranks.Shard;
import dev.gradclip.internal.ranks.Verdict;
import dev.gradclip.internal.reduce.ScaledNorm;
import dev.gradclip.internal.rule.ResolvedRule;
import dev.gradclip.internal.rule.TensorRange;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The norms over all ranks, with the bits that one process has which holds every tensor whole, for L1, L2 and the
 * maximum. A p-norm agrees to 1e-12. Each rank combines the same bytes, so that all decide alike.
 *
 * <pre>{@code
 * List<byte[]> sent = List.of(exchange.allGather(clipper.partialNorm(rule).toBytes()));
 * clipper.clip(rule, GlobalNorms.combine(sent));
 * }</pre>
 */
public final class GlobalNorms {
    private final GlobalSums sums;
    private final List<byte[]> sent;

    private GlobalNorms(List<byte[]> sent) {
        sums = GlobalSums.of(sent);
        this.sent = sent;
    }

    /**
     * Adds up what every rank has sent, in the order of the ranks.
     *
     * @param sent the bytes of each rank's {@link PartialNorm}: entry i is rank i's
     * @throws RankMismatchException if elements are counted twice or by no rank, if the ranks have other tensors, rows,
     *     groups or gradients that are absent, or clip by different rules; it names the tensor and the ranks
     */
    public static GlobalNorms combine(List<byte[]> sent) {
        return new GlobalNorms(List.copyOf(sent));
    }

    /** The number of ranks. */
    public int ranks() {
        return sums.ranks();
    }

    /**
     * The norm over all tensors of all ranks, after unscaling.
     *
     * @throws IllegalStateException if the rule measures no norm
     */
    public double globalNorm() {
        return norm(0, sums.layout().gradients());
    }

    /**
     * The norm of one tensor over all its shards, after unscaling; tensors are numbered in the order declared.
     *
     * @throws IllegalStateException if the rule measures no norm
     */
    public double tensorNorm(int tensor) {
        return norm(sums.layout().from(tensor), sums.layout().from(tensor + 1));
    }

    /** Returns true if a rank found a NaN or an infinity; a value rule under PROPAGATE looks for none. */
    public boolean nonFinite() {
        return sums.nonFinite() != null;
    }

    /**
     * The names of tensors of which a replica has other sums than the rank that counts them, in the order declared: its
     * ranks have drifted apart.
     */
    public List<String> differingReplicas() {
        return sums.differingReplicas();
    }

    private double norm(int from, int to) {
        ScaledNorm norm = new ScaledNorm();
        sums.total(from, to, norm);
        return norm.value();
    }

    /** Returns true if a rank has sent these bytes. */
    boolean holds(byte[] own) {
        return sent.stream().anyMatch(bytes -> Arrays.equals(bytes, own));
    }

    /** Decides what every rank does by the rule; throws if the norms were measured for another one. */
    Verdict decide(ClipRule rule, List<Shard> held, boolean isZeroed, double[] histories) {
        String text = Contribution.text(rule);
        if (!text.equals(sums.rule())) {
            throw new IllegalArgumentException(
                    "the norms were measured for " + sums.rule() + ", but the clip is by " + text);
        }
        ResolvedRule resolved = ResolvedRule.of(rule, sums.groups(), sums.layout(), sums.tensors())
                .requireSamples(sums.layout(), sums.names());
        return new Verdict(sums, resolved, held, isZeroed, histories);
    }

    /** The figures of tensors of a clip by these norms; rows are those that this rank holds. */
    ClipResult.Source source(Verdict verdict, ResolvedRule rule) {
        return new Source(verdict, rule);
    }

    private final class Source implements ClipResult.Source {
        private final Verdict verdict;
        private final ResolvedRule rule;

        Source(Verdict verdict, ResolvedRule rule) {
            this.verdict = verdict;
            this.rule = rule;
        }

        private void requireNorm() {
            if (rule.clamps()) throw new IllegalStateException("this call measured no norms");
        }

        @Override
        public boolean isComplete(long call) {
            return true;
        }

        @Override
        public void read(long call, Figures into) {
            throw new IllegalStateException("the figures are there already");
        }

        @Override
        public double tensorNorm(int tensor, long call) {
            requireNorm();
            return GlobalNorms.this.tensorNorm(tensor);
        }

        @Override
        public double rowNorm(int tensor, int row, long call) {
            requireNorm();
            int segment = verdict.segment(tensor, row);
            return norm(segment, segment + 1);
        }

        @Override
        public double tensorCoefficient(int tensor, long call) {
            requireNorm();
            boolean differ = rule.hasRowCoefficients(tensor) && sums.layout().rows(tensor) > 1;
            return differ ? Double.NaN : verdict.coefficient(sums.layout().from(tensor));
        }

        @Override
        public double rowCoefficient(int tensor, int row, long call) {
            requireNorm();
            return verdict.coefficient(verdict.segment(tensor, row));
        }

        @Override
        public double groupNorm(String group, long call) {
            requireNorm();
            TensorRange range = ResolvedRule.group(group, sums.groups());
            return norm(sums.layout().from(range.from()), sums.layout().from(range.to()));
        }
    }

    /** {@code GlobalNorms[ranks, names of the tensors]}. */
    @Override
    public String toString() {
        List<String> names = new ArrayList<>();
        for (int i = 0; i < sums.tensors(); i++) names.add(sums.name(i));
        return "GlobalNorms[" + ranks() + " ranks, " + names + "]";
    }
}
