// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.ranks;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.IntPredicate;

/**
 * What one rank holds of every tensor, in the order that all ranks share, and where named groups begin.
 *
 * @param groupStarts the first tensor of each group, in ascending order
 */
public record RankLayout(List<Shard> shards, Map<String, Integer> groupStarts) {
    /** Returns the layout with the gradients that have memory now marked as present. */
    public RankLayout present(IntPredicate isPresent) {
        List<Shard> now = new ArrayList<>(shards.size());
        for (int i = 0; i < shards.size(); i++) now.add(shards.get(i).present(isPresent.test(i)));
        return new RankLayout(now, groupStarts);
    }
}
