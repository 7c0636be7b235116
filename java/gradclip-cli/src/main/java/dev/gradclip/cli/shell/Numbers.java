// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.shell;

import java.util.Locale;
import java.util.regex.Pattern;

/** Reads and writes numbers as people and JSON do. */
public final class Numbers {
    // Java's own parser also takes 1d, 0x1p3 and 1f.
    private static final Pattern DECIMAL = Pattern.compile("[+-]?(\\d+\\.?\\d*|\\.\\d+)([eE][+-]?\\d+)?");

    /** A digit that is not 0, before any exponent. */
    private static final Pattern NOT_ZERO = Pattern.compile("[+-]?[0.]*[1-9]");

    private Numbers() {}

    /**
     * Reads a decimal number, {@code inf} or {@code nan}, in any case.
     *
     * @throws NumberFormatException if the text is none of these, or a number that a double has as infinity or 0
     */
    public static double parse(String text) {
        return switch (text.toLowerCase(Locale.ROOT)) {
            case "inf", "+inf", "infinity", "+infinity" -> Double.POSITIVE_INFINITY;
            case "-inf", "-infinity" -> Double.NEGATIVE_INFINITY;
            case "nan" -> Double.NaN;
            default -> decimal(text);
        };
    }

    private static double decimal(String text) {
        if (!DECIMAL.matcher(text).matches()) throw new NumberFormatException("'" + text + "' is not a number");
        double value = Double.parseDouble(text);
        if (Double.isInfinite(value)) {
            throw new NumberFormatException(
                    "'" + text + "' is beyond 1.8e308, the largest number; no limit is inf or -inf");
        }
        if (value == 0 && NOT_ZERO.matcher(text).lookingAt()) {
            throw new NumberFormatException("'" + text + "' is closer to 0 than 4.9e-324, the least number");
        }
        return value;
    }

    /** Writes a result with five significant digits: {@code 0.19504}, {@code 2.57e23}; a report in JSON has all. */
    public static String brief(double value) {
        return Double.isFinite(value) ? trimmed(String.format(Locale.ROOT, "%.5g", value)) : nonFinite(value);
    }

    /** Writes a norm with six significant digits. */
    public static String precise(double value) {
        return Double.isFinite(value) ? trimmed(String.format(Locale.ROOT, "%.6g", value)) : nonFinite(value);
    }

    /** Removes zeros that say nothing, at the end of a fraction and before an exponent. */
    private static String trimmed(String number) {
        String text = number.replaceFirst("e\\+?(-?)0*(?=\\d)", "e$1");
        return text.replaceFirst("(\\.\\d*?)0+(?=$|e)", "$1").replaceFirst("\\.(?=$|e)", "");
    }

    /** Writes an option's value with as few digits as read back to the same double: {@code 1}, {@code 1e-6}. */
    public static String typed(double value) {
        if (!Double.isFinite(value)) return nonFinite(value);
        return Double.toString(value).replace("E", "e").replaceFirst("\\.0(?=$|e)", "");
    }

    /** Writes {@code inf}, {@code -inf} or {@code nan}. */
    static String nonFinite(double value) {
        return Double.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
    }

    /** Writes a number with so many digits after the point, and commas between thousands. */
    public static String fixed(double value, int digits) {
        return Double.isFinite(value) ? String.format(Locale.ROOT, "%,." + digits + "f", value) : nonFinite(value);
    }

    /** Writes a count with its thing: {@code 1 tensor}, {@code 23,445 elements}. */
    public static String count(long number, String thing) {
        return String.format(Locale.ROOT, "%,d %s%s", number, thing, number == 1 ? "" : "s");
    }
}
