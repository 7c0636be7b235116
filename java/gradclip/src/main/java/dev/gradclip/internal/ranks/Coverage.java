// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.ranks;

import dev.gradclip.RankMismatchException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** Checks that the ranks ask for the same, and that every element of every tensor is counted by exactly one of them. */
final class Coverage {
    /** A shard, and the rank that holds it. */
    record Held(int rank, int tensor, Shard shard) {}

    private static final String SAME =
            "; every rank declares all tensors in the same order, with elsewhere(name, type, length) for those of which"
                    + " it holds nothing";

    private final List<Contribution> ranks;

    private Coverage(List<Contribution> ranks) {
        this.ranks = ranks;
    }

    /**
     * Returns the shards that count of each tensor, in the order of their addresses.
     *
     * @throws RankMismatchException if the ranks do not go together
     */
    static List<List<Held>> of(List<Contribution> ranks) {
        Coverage coverage = new Coverage(ranks);
        coverage.requireSameRule();
        coverage.requireSameTensors();
        List<List<Held>> counted = new ArrayList<>();
        for (int i = 0; i < ranks.get(0).layout().shards().size(); i++) counted.add(coverage.counted(i));
        return counted;
    }

    private void requireSameRule() {
        Contribution first = ranks.get(0);
        for (int r = 1; r < ranks.size(); r++) {
            Contribution other = ranks.get(r);
            if (other.rule().equals(first.rule())
                    && other.inverseScale() == first.inverseScale()
                    && Objects.equals(other.type(), first.type())) continue;
            throw new RankMismatchException(
                    null,
                    "rank 0 clips by " + first.rule() + ", but rank " + r + " by " + other.rule()
                            + "; give every rank the same rule, norm type and unscaling",
                    0,
                    r);
        }
    }

    private void requireSameTensors() {
        RankLayout first = ranks.get(0).layout();
        for (int r = 1; r < ranks.size(); r++) {
            RankLayout other = ranks.get(r).layout();
            int common = Math.min(first.shards().size(), other.shards().size());
            for (int i = 0; i < common; i++) {
                requireSame(i, first.shards().get(i), other.shards().get(i), r);
            }
            if (first.shards().size() != other.shards().size()) {
                List<Shard> more = first.shards().size() > common ? first.shards() : other.shards();
                int has = first.shards().size() > common ? 0 : r;
                throw new RankMismatchException(
                        more.get(common).name(),
                        more.get(common).name() + " is tensor " + common + " on rank " + has + ", but rank " + (r - has)
                                + " has " + common + " tensors" + SAME,
                        0,
                        r);
            }
            if (!List.copyOf(first.groupStarts().entrySet())
                    .equals(List.copyOf(other.groupStarts().entrySet()))) {
                throw new RankMismatchException(
                        null,
                        "the groups, with the tensors that they begin with, are " + first.groupStarts()
                                + " on rank 0, but " + other.groupStarts() + " on rank " + r,
                        0,
                        r);
            }
        }
    }

    private static void requireSame(int tensor, Shard first, Shard other, int rank) {
        boolean isSame =
                first.name().equals(other.name()) && first.dtype() == other.dtype() && first.total() == other.total();
        if (isSame) return;
        throw new RankMismatchException(
                first.name(),
                "tensor " + tensor + " is " + described(first) + " on rank 0, but " + described(other) + " on rank "
                        + rank + SAME,
                0,
                rank);
    }

    private static String described(Shard shard) {
        return shard.name() + " of " + shard.total() + " elements of " + shard.dtype();
    }

    private Shard shard(int rank, int tensor) {
        return ranks.get(rank).layout().shards().get(tensor);
    }

    private List<Held> counted(int tensor) {
        List<Held> counted = new ArrayList<>();
        Held known = null;
        for (int r = 0; r < ranks.size(); r++) {
            Shard shard = shard(r, tensor);
            if (shard.length() == 0) continue;
            Held held = new Held(r, tensor, shard);
            if (known == null) known = held;
            else requireAlike(known, held);
            if (shard.isCountedBy(r)) counted.add(held);
            else requireOwner(held);
        }
        counted.sort(Comparator.comparingLong((Held held) -> held.shard().first()));
        requireOnce(shard(0, tensor), counted);
        return counted;
    }

    private static String on(int rank, Shard shard) {
        return shard.name() + " on rank " + rank + " ";
    }

    private static void requireAlike(Held known, Held held) {
        Shard one = known.shard();
        Shard other = held.shard();
        if (one.segmentLength() != other.segmentLength()) {
            throw new RankMismatchException(
                    one.name(),
                    one.name() + " has rows of " + one.segmentLength() + " elements on rank " + known.rank()
                            + ", but of " + other.segmentLength() + " on rank " + held.rank()
                            + "; bind it with the same rows everywhere (without rows it is one row)",
                    known.rank(),
                    held.rank());
        }
        if (one.isPresent() == other.isPresent()) return;
        int absent = one.isPresent() ? held.rank() : known.rank();
        int present = one.isPresent() ? known.rank() : held.rank();
        throw new RankMismatchException(
                one.name(),
                "the gradient of " + one.name() + " is absent on rank " + absent + ", but present on rank " + present
                        + "; an unused tensor is absent on every rank",
                absent,
                present);
    }

    /** Throws unless the rank that counts the elements of a replica holds just these. */
    private void requireOwner(Held held) {
        Shard shard = held.shard();
        int owner = shard.owner();
        if (owner >= ranks.size()) {
            throw new RankMismatchException(
                    shard.name(),
                    on(held.rank(), shard) + "is a replica that rank " + owner + " counts, but there are "
                            + ranks.size() + " ranks",
                    held.rank());
        }
        Shard counted = shard(owner, held.tensor());
        if (counted.first() == shard.first() && counted.length() == shard.length() && counted.isCountedBy(owner))
            return;
        String instead = counted.length() == 0
                ? "holds nothing of it"
                : counted.isCountedBy(owner)
                        ? "counts elements " + counted.range()
                        : "leaves it to rank " + counted.owner();
        throw new RankMismatchException(
                shard.name(),
                on(held.rank(), shard) + "is a replica of elements " + shard.range() + " that rank " + owner
                        + " counts, but rank " + owner + " " + instead,
                held.rank(),
                owner);
    }

    private static void requireOnce(Shard tensor, List<Held> counted) {
        long covered = 0;
        Held before = null;
        for (Held held : counted) {
            Shard shard = held.shard();
            if (before != null && shard.first() < covered) {
                throw new RankMismatchException(
                        shard.name(),
                        "elements [" + shard.first() + ", " + Math.min(covered, shard.end()) + ") of " + shard.name()
                                + " are counted by rank " + before.rank() + " and by rank " + held.rank()
                                + "; declare one of them with replica(" + before.rank()
                                + "), or its place with shard(first, total)",
                        before.rank(),
                        held.rank());
            }
            if (shard.first() > covered) throw gap(tensor, covered, shard.first(), before, held);
            covered = shard.end();
            before = held;
        }
        if (covered < tensor.total()) throw gap(tensor, covered, tensor.total(), before, null);
    }

    private static RankMismatchException gap(
            Shard tensor, long from, long to, @Nullable Held before, @Nullable Held after) {
        StringBuilder text =
                new StringBuilder("no rank counts elements [" + from + ", " + to + ") of " + tensor.name());
        if (before != null) text.append("; rank ").append(before.rank()).append(" ends there");
        if (after != null)
            text.append("; rank ").append(after.rank()).append(" goes on at ").append(to);
        int[] ranks = Stream.of(Optional.ofNullable(before), Optional.ofNullable(after))
                .flatMap(Optional::stream)
                .mapToInt(Held::rank)
                .toArray();
        return new RankMismatchException(tensor.name(), text.toString(), ranks);
    }
}
