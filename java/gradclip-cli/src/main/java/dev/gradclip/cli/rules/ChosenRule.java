// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.rules;

import dev.gradclip.ClipRule;
import dev.gradclip.NormRule;
import dev.gradclip.Scope;
import java.util.Map;

/**
 * A rule with its numbers, and the entry that says how it is told.
 *
 * @param entry its kind
 * @param rule itself
 */
public record ChosenRule(RuleSpec entry, ClipRule rule) {
    public Map<String, Object> values() {
        return entry.values(rule);
    }

    /** Its name and what was chosen, without what is as it is by default. */
    public String shown() {
        StringBuilder shown = new StringBuilder(entry.name());
        for (RuleParameter parameter : entry.parameters()) {
            String value = RuleSpec.typed(parameter.of(rule));
            boolean chosen = entry.required().contains(parameter) || !value.equals(entry.defaultOf(parameter));
            if (chosen) shown.append(' ').append(parameter.word()).append('=').append(value);
        }
        return shown.toString();
    }

    /** This choice with another rule of its kind. */
    ChosenRule with(ClipRule changed) {
        return new ChosenRule(entry, changed);
    }

    public static boolean goesByRows(ClipRule rule) {
        return rule instanceof NormRule norm && norm.scope() == Scope.ROW;
    }

    public static boolean needsParameters(ClipRule rule) {
        return rule instanceof NormRule norm && norm.form() == NormRule.Form.ADAPTIVE;
    }
}
