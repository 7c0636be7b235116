// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.rules;

import dev.gradclip.NormType;
import dev.gradclip.cli.shell.Numbers;

/** Reads the type of a norm. */
public final class NormTypes {
    private NormTypes() {}

    /**
     * Reads {@code 1}, {@code 2}, {@code inf} or another number above 0.
     *
     * @throws IllegalArgumentException if the text is none of these
     */
    public static NormType parse(String text) {
        try {
            double p = Numbers.parse(text);
            if (p > 0) return NormType.p(p);
        } catch (NumberFormatException e) {
            // The same advice as for a number that is no norm.
        }
        throw new IllegalArgumentException("'" + text + "' is not 1, 2, inf or a number above 0");
    }
}
