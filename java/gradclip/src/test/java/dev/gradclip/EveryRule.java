// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Every rule, with numbers that change some of {@link MixedTensors} and leave others. */
final class EveryRule {
    private EveryRule() {}

    /** Returns a norm rule for each form and scope but samples, which all tensors would need the same rows for. */
    static List<ClipRule> norms() {
        List<ClipRule> rules = new ArrayList<>();
        rules.add(ClipRule.globalNorm(1e9));
        for (Scope scope : Scope.values()) {
            if (scope == Scope.SAMPLE) continue;
            rules.add(ClipRule.globalNorm(scope == Scope.ROW ? 8 : 60).withScope(scope));
            rules.add(ClipRule.normalize(3).withScope(scope));
            rules.add(ClipRule.normalizeAbove(8, 2).withScope(scope));
            rules.add(ClipRule.averageNorm(scope == Scope.ROW ? 1 : 0.02).withScope(scope));
            rules.add(ClipRule.blockRms(3).withScope(scope));
        }
        rules.add(ClipRule.adaptive(0.5));
        rules.add(ClipRule.adaptive(0.9, 0));
        return rules;
    }

    /** Returns rules per group by norm, for some of the groups. */
    static List<ClipRule> groupNorms() {
        return List.of(
                perGroup("third", ClipRule.perRowNorm(4), "first", ClipRule.normalize(2)),
                perGroup("second", ClipRule.averageNorm(0.02), "third", ClipRule.adaptive(0.5)),
                perGroup("first", ClipRule.perTensorNorm(50), "third", ClipRule.globalNorm(100)),
                perGroup("third", ClipRule.blockRms(2), "empty", ClipRule.globalNorm(1)),
                ClipRule.perGroup(Map.of("second", ClipRule.globalNorm(7))),
                ClipRule.perGroup(Map.of("empty", ClipRule.globalNorm(0))));
    }

    static List<ClipRule> values() {
        return List.of(
                ClipRule.value(2),
                ClipRule.value(-1, 3),
                perGroup("third", ClipRule.value(1), "first", ClipRule.value(-2, 0.5)),
                perGroup("second", ClipRule.value(0), "empty", ClipRule.value(1)));
    }

    static List<ClipRule> allByNorm() {
        List<ClipRule> rules = norms();
        rules.addAll(groupNorms());
        return rules;
    }

    static List<ClipRule> all() {
        List<ClipRule> rules = allByNorm();
        rules.addAll(values());
        return rules;
    }

    private static ClipRule perGroup(String first, ClipRule one, String second, ClipRule two) {
        Map<String, ClipRule> rules = new LinkedHashMap<>();
        rules.put(first, one);
        rules.put(second, two);
        return ClipRule.perGroup(rules);
    }

    /** Returns a rule with another norm type. */
    static ClipRule withNormType(ClipRule rule, NormType type) {
        if (rule instanceof NormRule norm) return norm.withNormType(type);
        if (!(rule instanceof GroupRule groups)) return rule;
        Map<String, ClipRule> changed = new LinkedHashMap<>();
        groups.rules().forEach((group, one) -> changed.put(group, withNormType(one, type)));
        return ClipRule.perGroup(changed);
    }

    static boolean clamps(ClipRule rule) {
        if (rule instanceof GroupRule groups)
            return groups.rules().values().iterator().next() instanceof ValueRule;
        return rule instanceof ValueRule;
    }
}
