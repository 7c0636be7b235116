// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli;

import java.util.Locale;
import java.util.regex.Pattern;

/** Numbers as people and JSON write them. */
final class Numbers {
    // Java's own parser also takes 1d, 0x1p3 and 1f.
    private static final Pattern DECIMAL = Pattern.compile("[+-]?(\\d+\\.?\\d*|\\.\\d+)([eE][+-]?\\d+)?");

    private Numbers() {}

    /**
     * A decimal number, {@code inf} or {@code nan}, in any case.
     *
     * @throws NumberFormatException if the text is none of these
     */
    static double parse(String text) {
        return switch (text.toLowerCase(Locale.ROOT)) {
            case "inf", "+inf", "infinity", "+infinity" -> Double.POSITIVE_INFINITY;
            case "-inf", "-infinity" -> Double.NEGATIVE_INFINITY;
            case "nan" -> Double.NaN;
            default -> decimal(text);
        };
    }

    private static double decimal(String text) {
        if (DECIMAL.matcher(text).matches()) return Double.parseDouble(text);
        throw new NumberFormatException("'" + text + "' is not a number");
    }

    /** Six significant digits, for people. */
    static String brief(double value) {
        return Double.isFinite(value) ? String.format(Locale.ROOT, "%.6g", value) : nonFinite(value);
    }

    /** As few digits as read back to the same double, for people who compare. */
    static String exact(double value) {
        return Double.isFinite(value) ? Double.toString(value) : nonFinite(value);
    }

    /** The same as people type it: {@code 1}, {@code 1e-6}. */
    static String typed(double value) {
        return exact(value).replace("E", "e").replaceFirst("\\.0(?=$|e)", "");
    }

    /** {@code inf}, {@code -inf} or {@code nan}. */
    static String nonFinite(double value) {
        return Double.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
    }

    /** A count with its thing: {@code 1 tensor}, {@code 23,445 elements}. */
    static String count(long number, String thing) {
        return String.format(Locale.ROOT, "%,d %s%s", number, thing, number == 1 ? "" : "s");
    }
}
