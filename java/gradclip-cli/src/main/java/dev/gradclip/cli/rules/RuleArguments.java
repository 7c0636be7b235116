// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.rules;

import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The parameters of a rule as they were given, checked by name and not yet by value. */
final class RuleArguments {
    private final Map<RuleParameter, String> given = new EnumMap<>(RuleParameter.class);

    /**
     * Reads texts {@code NAME=VALUE}.
     *
     * @throws IllegalArgumentException naming one that is unknown, given twice or missing
     */
    RuleArguments(RuleSpec rule, List<String> texts) {
        for (String text : texts) {
            int sign = text.indexOf('=');
            if (sign < 1) throw new IllegalArgumentException("'" + text + "' is not NAME=VALUE");
            RuleParameter parameter = rule.parameter(text.substring(0, sign));
            if (given.put(parameter, text.substring(sign + 1)) != null) {
                throw new IllegalArgumentException(parameter.word() + " is given twice");
            }
        }
        for (RuleParameter parameter : rule.required()) {
            if (!given.containsKey(parameter)) {
                throw new IllegalArgumentException(
                        "it needs " + parameter.word() + ", " + parameter.meaning() + "; such as " + rule.usage());
            }
        }
    }

    /** Returns a parameter's text; null if it was not given. */
    @Nullable
    String text(RuleParameter parameter) {
        return given.get(parameter);
    }

    /** @throws IllegalArgumentException if it is no number that the parameter may be */
    double number(RuleParameter parameter) {
        return parameter.number(String.valueOf(given.get(parameter)));
    }
}
