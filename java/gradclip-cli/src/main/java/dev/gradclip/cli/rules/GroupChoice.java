// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.rules;

import dev.gradclip.cli.safetensors.NamePattern;
import dev.gradclip.cli.shell.BadFileException;
import java.util.Arrays;
import java.util.List;

/**
 * A group of {@code --group 'REGEX=RULE[,NAME=VALUE…]'}: tensors whose whole name matches, and their rule.
 *
 * @param pattern of names
 * @param chosen their rule
 */
public record GroupChoice(NamePattern pattern, ChosenRule chosen) {
    /**
     * @throws IllegalArgumentException if the text is none, its expression wrong, or its rule or a parameter unknown
     */
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
        NamePattern pattern = NamePattern.of(text.substring(0, sign));
        return new GroupChoice(pattern, Rules.find(rule.get(0)).choose(rule.subList(1, rule.size())));
    }

    public String name() {
        return pattern.text();
    }

    public boolean matches(String tensor) throws BadFileException {
        return pattern.matches(tensor);
    }

    GroupChoice with(ChosenRule changed) {
        return new GroupChoice(pattern, changed);
    }
}
