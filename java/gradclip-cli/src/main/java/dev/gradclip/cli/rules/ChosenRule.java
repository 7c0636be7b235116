// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.rules;

import dev.gradclip.ClipRule;
import dev.gradclip.NormRule;
import dev.gradclip.Scope;
import java.util.Map;

/**
 * A rule with its numbers, and the entry of the table that describes it.
 *
 * @param entry its kind
 * @param rule itself
 */
public record ChosenRule(RuleSpec entry, ClipRule rule) {
    public Map<String, Object> values() {
        return entry.values(rule);
    }

    /** Returns its name and the parameters that differ from their defaults. */
    public String shown() {
        StringBuilder shown = new StringBuilder(entry.name());
        for (RuleParameter parameter : entry.parameters()) {
            String value = RuleSpec.typed(parameter.of(rule));
            boolean chosen = entry.required().contains(parameter) || !value.equals(entry.defaultOf(parameter));
            if (chosen) shown.append(' ').append(parameter.word()).append('=').append(value);
        }
        return shown.toString();
    }

    /** Returns this choice with another rule of its kind. */
    ChosenRule with(ClipRule changed) {
        return new ChosenRule(entry, changed);
    }

    public static boolean goesByRows(ClipRule rule) {
        return rule instanceof NormRule norm && norm.scope() == Scope.ROW;
    }

    public static boolean hasHistory(ClipRule rule) {
        return rule instanceof NormRule norm && norm.history() != null;
    }

    public static boolean needsParameters(ClipRule rule) {
        return rule instanceof NormRule norm && norm.form() == NormRule.Form.ADAPTIVE;
    }
}
