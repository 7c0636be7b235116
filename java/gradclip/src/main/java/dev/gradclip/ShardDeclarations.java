// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import dev.gradclip.internal.ranks.RankLayout;
import dev.gradclip.internal.ranks.Shard;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** What the tensors of a {@link GradientClipperBuilder} are of tensors that ranks share. */
final class ShardDeclarations {
    private static final class Declared {
        long first;
        long total = -1;
        int owner = Shard.SELF;
        boolean hasRows;
        boolean hasUnits;
    }

    private final List<Declared> all = new ArrayList<>();

    void add() {
        all.add(new Declared());
    }

    void rows(int tensor) {
        all.get(tensor).hasRows = true;
        all.get(tensor).hasUnits = false;
    }

    void units(int tensor) {
        all.get(tensor).hasUnits = true;
    }

    void shard(int tensor, long first, long total) {
        all.get(tensor).first = first;
        all.get(tensor).total = total;
    }

    void replica(int tensor, int owner) {
        all.get(tensor).owner = owner;
    }

    /** Returns true if other ranks hold parts or copies of a tensor. */
    boolean isOfRanks() {
        return all.stream().anyMatch(one -> one.total >= 0 || one.owner != Shard.SELF);
    }

    private Shard shard(int tensor, String name, GradientBuffer shape, int rows) {
        Declared one = all.get(tensor);
        long length = shape.length();
        if (one.hasUnits && one.total >= 0) {
            throw new IllegalArgumentException(name + " is a shard and has units along an axis that is not its first;"
                    + " a shard has rows, or no units");
        }
        long total = one.total < 0 ? length : one.total;
        long segment = length == 0 ? Shard.UNKNOWN : one.hasRows ? length / rows : total;
        Shard shard = new Shard(name, shape.dtype(), total, one.first, length, one.owner, segment, true);
        String fault = shard.fault();
        if (!fault.isEmpty()) throw new IllegalArgumentException(name + " " + fault);
        return shard;
    }

    /** Returns the layout; throws if a shard begins or ends where none can. */
    RankLayout layout(
            List<String> names, List<GradientBuffer> shapes, List<Integer> rows, Map<String, Integer> groupStarts) {
        List<Shard> shards = new ArrayList<>(names.size());
        for (int i = 0; i < names.size(); i++) shards.add(shard(i, names.get(i), shapes.get(i), rows.get(i)));
        return new RankLayout(shards, new LinkedHashMap<>(groupStarts));
    }
}
