// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli;

import java.util.Arrays;
import java.util.List;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/**
 * One {@code --group 'REGEX=RULE[,NAME=VALUE…]'}: the tensors whose whole name matches, and their rule.
 *
 * @param pattern of names
 * @param chosen their rule
 */
record GroupChoice(Pattern pattern, ChosenRule chosen) {
    /** @throws IllegalArgumentException if the text is none, its expression wrong, or its rule or a parameter unknown */
    static GroupChoice parse(String text) {
        int sign = text.indexOf('=');
        if (sign < 1) throw new IllegalArgumentException("'" + text + "' is not REGEX=RULE[,NAME=VALUE…]");
        // An expression may hold the sign too: the first one that a rule follows ends it.
        for (int at = sign; at >= 0; at = text.indexOf('=', at + 1)) {
            if (!Rules.isKnown(text.substring(at + 1).split(",", 2)[0])) continue;
            sign = at;
            break;
        }
        List<String> rule = Arrays.asList(text.substring(sign + 1).split(",", -1));
        try {
            Pattern pattern = Pattern.compile(text.substring(0, sign));
            return new GroupChoice(pattern, Rules.find(rule.get(0)).choose(rule.subList(1, rule.size())));
        } catch (PatternSyntaxException e) {
            throw new IllegalArgumentException(
                    "'" + e.getPattern() + "' is not a regular expression: " + e.getDescription(), e);
        }
    }

    String name() {
        return pattern.pattern();
    }

    boolean matches(String tensor) {
        return pattern.matcher(tensor).matches();
    }

    GroupChoice with(ChosenRule changed) {
        return new GroupChoice(pattern, changed);
    }
}
