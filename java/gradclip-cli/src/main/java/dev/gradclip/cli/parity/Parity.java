// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.parity;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Compares each backend's clips with plain Java's, bit by bit. */
final class Parity {
    /** The relative tolerance of a power norm, on which backends agree no further. */
    private static final double POWER = 1e-12;

    /** The relative tolerance of elements: they are rounded after a coefficient that may differ by {@link #POWER}. */
    private static final double POWER_ELEMENT = 0x1p-7;

    private static final int MOST_SHOWN = 5;

    /**
     * The count of a backend's cases with a rule.
     *
     * @param cases compared
     * @param different of these
     */
    record Tally(int cases, int different) {}

    private final ParitySide reference;
    private final List<ParitySide> others;
    private final Map<String, Map<String, Tally>> tallies = new LinkedHashMap<>();
    private final List<String> differences = new ArrayList<>();

    Parity(ParitySide reference, List<ParitySide> others) {
        this.reference = reference;
        this.others = others;
    }

    /** @param afterEach is run after each case */
    void run(List<ParityCase> cases, Runnable afterEach) {
        for (ParityCase one : cases) {
            ParitySide.Outcome expected = reference.clip(one);
            for (ParitySide other : others) {
                String difference = difference(one, expected, other.clip(one));
                if (difference != null && differences.size() < MOST_SHOWN) {
                    differences.add(one.shown() + ": " + other.name() + " " + difference);
                }
                tallies.computeIfAbsent(one.entry().name(), name -> new LinkedHashMap<>())
                        .merge(
                                other.name(),
                                new Tally(1, difference == null ? 0 : 1),
                                (a, b) -> new Tally(a.cases() + b.cases(), a.different() + b.different()));
            }
            afterEach.run();
        }
    }

    private static @Nullable String difference(ParityCase one, ParitySide.Outcome expected, ParitySide.Outcome found) {
        if (!expected.figures().equals(found.figures())) {
            return "says " + found.figures() + ", plain Java " + expected.figures();
        }
        if (!same(one, expected.norm(), found.norm())) return figure("norm", expected.norm(), found.norm());
        if (!same(one, expected.coefficient(), found.coefficient())) {
            return figure("coefficient", expected.coefficient(), found.coefficient());
        }
        for (int i = 0; i < expected.gradients().size(); i++) {
            ParityCase.Tensor want = expected.gradients().get(i);
            ParityCase.Tensor is = found.gradients().get(i);
            for (int k = 0; k < ParitySide.length(want); k++) {
                if (!sameElement(one, want, is, k)) {
                    return String.format(
                            "has %s[%d] = 0x%x, plain Java 0x%x",
                            want.name(), k, ParitySide.bits(is, k), ParitySide.bits(want, k));
                }
            }
        }
        return null;
    }

    private static boolean same(ParityCase one, double expected, double found) {
        if (Double.doubleToRawLongBits(expected) == Double.doubleToRawLongBits(found)) return true;
        return one.isPower() && Math.abs(expected - found) <= POWER * Math.abs(expected);
    }

    private static boolean sameElement(ParityCase one, ParityCase.Tensor expected, ParityCase.Tensor found, int i) {
        if (ParitySide.bits(expected, i) == ParitySide.bits(found, i)) return true;
        double want = ParitySide.value(expected, i);
        return one.isPower() && Math.abs(want - ParitySide.value(found, i)) <= POWER_ELEMENT * Math.abs(want);
    }

    private static String figure(String what, double expected, double found) {
        return String.format(
                "finds the %s %s (0x%x), plain Java %s (0x%x)",
                what, found, Double.doubleToRawLongBits(found), expected, Double.doubleToRawLongBits(expected));
    }

    /** Returns all counts, by rule and then by backend. */
    Map<String, Map<String, Tally>> tallies() {
        return tallies;
    }

    /** Returns a backend's count for a rule. */
    Tally tally(String rule, String backend) {
        return tallies.getOrDefault(rule, Map.of()).getOrDefault(backend, new Tally(0, 0));
    }

    /** Returns the first differences, in full. */
    List<String> differences() {
        return differences;
    }

    boolean agrees() {
        return differences.isEmpty();
    }
}
