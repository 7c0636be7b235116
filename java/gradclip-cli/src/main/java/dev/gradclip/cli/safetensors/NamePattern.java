// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.safetensors;

import dev.gradclip.cli.shell.BadFileException;
import dev.gradclip.cli.shell.Numbers;
import dev.gradclip.cli.shell.Printable;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/**
 * A regular expression for whole names of tensors; a dot stands for a line end too.
 *
 * @param pattern as it was compiled
 */
public record NamePattern(Pattern pattern) {
    /**
     * Compiles an expression.
     *
     * @throws IllegalArgumentException if the text is no regular expression
     */
    public static NamePattern of(String expression) {
        try {
            return new NamePattern(Pattern.compile(expression, Pattern.DOTALL));
        } catch (PatternSyntaxException e) {
            throw new IllegalArgumentException(
                    "'" + e.getPattern() + "' is not a regular expression: " + e.getDescription(), e);
        }
    }

    public String text() {
        return pattern.pattern();
    }

    /**
     * Tells if the whole name matches.
     *
     * @throws BadFileException if the name is too long for what the expression repeats
     */
    public boolean matches(String name) throws BadFileException {
        try {
            return pattern.matcher(name).matches();
        } catch (StackOverflowError e) {
            // Java's matcher calls itself for each repetition of a group that holds alternatives.
            throw new BadFileException(
                    "the regular expression " + Printable.quoted(text()) + " needs too much memory for the name "
                            + Printable.quoted(name) + " of " + Numbers.count(name.length(), "character")
                            + "; write it without a repeated group: '.*' for '(a|b)*', or '[ab]*'",
                    e);
        }
    }
}
