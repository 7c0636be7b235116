// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import java.util.List;

/** What contenders are timed at, and what each must then have found. */
enum DuelCase {
    /** The norm alone. */
    NORM("norm"),
    /** A clip to half the norm. */
    BITES("bites"),
    /** A clip to twice the norm. */
    DOES_NOT_BITE("does not"),
    /** A clamp with 1 % over the limit. */
    CLAMP("clamp");

    /** Of values that are uniform in [-1, 1). */
    private static final double LIMIT = 0.99;

    private final String label;

    DuelCase(String label) {
        this.label = label;
    }

    static DuelCase of(String label) {
        for (DuelCase one : values()) if (one.label.equals(label)) return one;
        throw new IllegalArgumentException("no case '" + label + "'; choose of " + List.of(values()));
    }

    /** The norm that the contender reports, or NaN. */
    double run(Contender contender, double norm) {
        return switch (this) {
            case NORM -> contender.globalNorm();
            case BITES -> contender.clipByGlobalNorm(norm / 2);
            case DOES_NOT_BITE -> contender.clipByGlobalNorm(norm * 2);
            case CLAMP -> {
                contender.clipByValue(LIMIT);
                yield Double.NaN;
            }
        };
    }

    /** What an element should be afterwards, to a float's precision. */
    double expected(double element) {
        return switch (this) {
            case NORM, DOES_NOT_BITE -> element;
            case BITES -> element / 2;
            case CLAMP -> Math.max(-LIMIT, Math.min(LIMIT, element));
        };
    }

    @Override
    public String toString() {
        return label;
    }
}
