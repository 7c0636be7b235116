// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import java.util.List;

/** The cases that contenders are timed at, with what each must then have found. */
enum DuelCase {
    /** The norm alone. */
    NORM("norm"),
    /** A clip to half the norm. */
    BITES("bites"),
    /** A clip to twice the norm. */
    DOES_NOT_BITE("does not"),
    /** A clamp with 1 % over the limit. */
    CLAMP("clamp"),
    /** Each tensor by its own norm, to half the least of them, so that all are scaled. */
    PER_TENSOR("per tensor");

    /** The limit for values that are uniform in [-1, 1). */
    private static final double LIMIT = 0.99;

    /** The share that each next call on the same gradients takes off the threshold, so that it scales as well. */
    private static final double SHRINK = 1e-4;

    private final String label;

    DuelCase(String label) {
        this.label = label;
    }

    static DuelCase of(String label) {
        for (DuelCase one : values()) if (one.label.equals(label)) return one;
        throw new IllegalArgumentException("no case '" + label + "'; choose of " + List.of(values()));
    }

    /** The norm that the contender reports, or NaN; {@code earlier} calls have changed these gradients before. */
    double run(Contender contender, Gradients gradients, int earlier) {
        double half = (1 - SHRINK * earlier) / 2;
        return switch (this) {
            case NORM -> contender.globalNorm();
            case BITES -> contender.clipByGlobalNorm(gradients.norm() * half);
            case DOES_NOT_BITE -> contender.clipByGlobalNorm(gradients.norm() * 2);
            case CLAMP -> {
                contender.clipByValue(LIMIT);
                yield Double.NaN;
            }
            case PER_TENSOR -> {
                contender.clipPerTensorNorm(gradients.leastNorm() * half);
                yield Double.NaN;
            }
        };
    }

    /** Returns true if gradients change, and 16-bit ones are rounded. */
    boolean changes() {
        return this != NORM && this != DOES_NOT_BITE;
    }

    /** Returns true if what becomes of them depends on a norm. */
    boolean needsNorm() {
        return this == BITES || this == PER_TENSOR;
    }

    /** The value that an element of a tensor should have afterwards, but for rounding. */
    double expected(double element, Gradients gradients, int tensor) {
        return switch (this) {
            case NORM, DOES_NOT_BITE -> element;
            case BITES -> element / 2;
            case CLAMP -> Math.max(-LIMIT, Math.min(LIMIT, element));
            case PER_TENSOR -> element * (gradients.leastNorm() / 2 / gradients.norm(tensor));
        };
    }

    @Override
    public String toString() {
        return label;
    }
}
