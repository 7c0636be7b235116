// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.UnaryOperator;

/**
 * A rule for each of several named groups: {@link ClipRule#perGroup}.
 *
 * @param rules the rule of each group, by name; tensors outside these groups are left as they are
 */
public record GroupRule(Map<String, ClipRule> rules) implements ClipRule {
    /** Checks that one pass can serve all rules. */
    public GroupRule {
        if (rules.isEmpty()) throw new IllegalArgumentException("perGroup needs a rule for at least one group");
        rules = Collections.unmodifiableMap(new LinkedHashMap<>(rules));
        ClipRule first = rules.values().iterator().next();
        rules.forEach((group, rule) -> requireAlike(group, rule, first));
    }

    private static void requireAlike(String group, ClipRule rule, ClipRule first) {
        String why = null;
        if (rule instanceof GroupRule) why = "is itself a rule per group";
        else if (rule instanceof NormRule r && r.scope() == Scope.GROUP) why = "has the scope GROUP; take ALL";
        else if (rule instanceof NormRule r
                && r.history() != null
                && r.history().skips()) {
            why = "skips steps, which only one norm over all can";
        } else if (rule.getClass() != first.getClass()) why = "goes by norm where others clamp, or the other way round";
        else if (rule instanceof NormRule r && !r.normType().equals(((NormRule) first).normType())) {
            why = "takes norm type " + r.normType() + " where another takes " + ((NormRule) first).normType();
        } else if (rule.nonFinitePolicy() != first.nonFinitePolicy()) why = "has another policy than others";
        else if (rule.inverseScale() != first.inverseScale()) why = "unscales by another factor than others";
        if (why == null) return;
        throw new IllegalArgumentException("the rule of group '" + group + "' " + why
                + "; groups are measured and changed in one pass: give what differs in more than numbers a "
                + "clipper of its own");
    }

    private ClipRule first() {
        return rules.values().iterator().next();
    }

    private GroupRule each(UnaryOperator<ClipRule> change) {
        Map<String, ClipRule> changed = new LinkedHashMap<>();
        rules.forEach((group, rule) -> changed.put(group, change.apply(rule)));
        return new GroupRule(changed);
    }

    @Override
    public String name() {
        return "per-group";
    }

    @Override
    public NonFinitePolicy nonFinitePolicy() {
        return first().nonFinitePolicy();
    }

    @Override
    public double inverseScale() {
        return first().inverseScale();
    }

    @Override
    public GroupRule withNonFinitePolicy(NonFinitePolicy policy) {
        return each(rule -> rule.withNonFinitePolicy(policy));
    }

    @Override
    public GroupRule withInverseScale(double factor) {
        return each(rule -> rule.withInverseScale(factor));
    }

    @Override
    public GroupRule times(double factor) {
        return each(rule -> rule.times(factor));
    }
}
