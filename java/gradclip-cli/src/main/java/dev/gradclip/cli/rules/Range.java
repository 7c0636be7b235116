// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.rules;

import dev.gradclip.cli.shell.Numbers;

/** The numbers that an option or a parameter may be, checked here so that a refusal names it as it was typed. */
enum Range {
    NUMBER("a number"),
    LIMIT("0 or more"),
    LENGTH("0 or more and finite"),
    FACTOR("above 0 and finite");

    private final String words;

    Range(String words) {
        this.words = words;
    }

    /**
     * Returns the value.
     *
     * @throws IllegalArgumentException with the name, if it is not in the range
     */
    double require(String name, double value) {
        if (holds(value)) return value;
        throw new IllegalArgumentException(name + " must be " + words + ", but is " + Numbers.typed(value));
    }

    private boolean holds(double x) {
        return switch (this) {
            case NUMBER -> !Double.isNaN(x);
            case LIMIT -> x >= 0;
            case LENGTH -> x >= 0 && x < Double.POSITIVE_INFINITY;
            case FACTOR -> x > 0 && x < Double.POSITIVE_INFINITY;
        };
    }
}
