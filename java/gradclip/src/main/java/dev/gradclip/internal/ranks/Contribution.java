// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.ranks;

import dev.gradclip.ClipRule;
import dev.gradclip.GroupRule;
import dev.gradclip.NonFinitePolicy;
import dev.gradclip.NormType;
import dev.gradclip.internal.reduce.NormKind;
import dev.gradclip.internal.reduce.SegmentSums;
import dev.gradclip.internal.rule.ResolvedRule;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * What one rank adds to a norm over all: what it holds, and the sums of that, with which rule they were measured.
 *
 * @param rule the rule's text, which must be the same everywhere
 * @param inverseScale the factor that the rule unscales by
 * @param type the norm measured; null if none was, so that there are no sums
 * @param sums the sums of every shard, one shard after the other
 */
public record Contribution(
        String rule, double inverseScale, @Nullable NormType type, RankLayout layout, SegmentSums sums) {

    /**
     * Makes a contribution whose sums are yet to be written. Of a value rule it is the maximum, which shows if all is
     * finite, or nothing where its policy does not ask.
     */
    public static Contribution of(ResolvedRule rule, RankLayout layout) {
        boolean looks = rule.clamps() && rule.policy() != NonFinitePolicy.PROPAGATE;
        return of(text(rule.rule), rule.inverseScale, looks ? NormType.INF : rule.normType, layout);
    }

    /** The text of a rule, in which groups are in the order of their names: a map's order differs between JVMs. */
    public static String text(ClipRule rule) {
        return rule instanceof GroupRule groups ? new TreeMap<>(groups.rules()).toString() : rule.toString();
    }

    static Contribution of(String rule, double inverseScale, @Nullable NormType type, RankLayout layout) {
        return new Contribution(rule, inverseScale, type, layout, new SegmentSums(sums(type, layout)));
    }

    /** The number of all sums. */
    static int sums(@Nullable NormType type, RankLayout layout) {
        int sums = 0;
        if (type == null) return sums;
        for (Shard shard : layout.shards()) sums = Math.addExact(sums, shard.sums(NormKind.of(type)));
        return sums;
    }

    /** Where the sums of each shard begin; the last entry is the number of all. */
    public int[] offsets() {
        int[] offsets = new int[layout.shards().size() + 1];
        if (type == null) return offsets;
        for (int i = 1; i < offsets.length; i++) {
            offsets[i] = offsets[i - 1] + layout.shards().get(i - 1).sums(NormKind.of(type));
        }
        return offsets;
    }
}
