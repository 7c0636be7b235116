// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.shell;

import java.util.List;
import java.util.stream.Collectors;

/** Shows text from files to people: names may hold line ends, terminal escapes, or megabytes. */
public final class Printable {
    private static final int LONGEST = 120;

    /** The most dimensions shown: more than a tensor has, fewer than fill a line. */
    private static final int MOST_DIMENSIONS = 12;

    private Printable() {}

    /** Puts a text in single quotes, the middle left out if it is long. */
    public static String quoted(String text) {
        return "'" + cell(text) + "'";
    }

    /** Writes a text for a table, the middle left out if it is long, or one name would widen every row. */
    static String cell(String text) {
        return escaped(shortened(text, LONGEST));
    }

    /** Escapes all that is unsafe, so that the text stays on one line and cannot steer a terminal. */
    public static String escaped(String text) {
        StringBuilder result = new StringBuilder(text.length());
        text.codePoints().forEach(c -> {
            if (isUnsafe(c)) for (char unit : Character.toChars(c)) result.append(escape(unit));
            else result.appendCodePoint(c);
        });
        return result.toString();
    }

    /** Escapes a character as JSON does. */
    static String escape(char unit) {
        return String.format("\\u%04x", (int) unit);
    }

    /** Shortens a text to {@code longest} characters and an ellipsis. */
    public static String shortened(String text, int longest) {
        if (text.length() <= longest) return text;
        return text.substring(0, longest / 2) + "…" + text.substring(text.length() - longest / 2);
    }

    /** Writes a shape in brackets, the middle left out if there are many dimensions. */
    public static String shape(List<Long> shape, String separator) {
        if (shape.size() <= MOST_DIMENSIONS) return "[" + joined(shape, separator) + "]";
        int half = MOST_DIMENSIONS / 2;
        return "[" + joined(shape.subList(0, half), separator) + separator + "…" + separator
                + joined(shape.subList(shape.size() - half, shape.size()), separator) + "]";
    }

    private static String joined(List<Long> numbers, String separator) {
        return numbers.stream().map(String::valueOf).collect(Collectors.joining(separator));
    }

    /**
     * Tells if a character is seen as something else than it is: one that controls, reorders or shows nothing, a space
     * that is no plain one, or one that has no meaning. Python's repr escapes the same but for letters and marks.
     */
    static boolean isUnsafe(int codePoint) {
        return switch (Character.getType(codePoint)) {
            case Character.CONTROL,
                    Character.FORMAT,
                    Character.SURROGATE,
                    Character.PRIVATE_USE,
                    Character.UNASSIGNED,
                    Character.LINE_SEPARATOR,
                    Character.PARAGRAPH_SEPARATOR -> true;
            case Character.SPACE_SEPARATOR -> codePoint != ' ';
            case Character.OTHER_LETTER -> isFiller(codePoint);
            case Character.NON_SPACING_MARK -> isInvisibleMark(codePoint);
            default -> false;
        };
    }

    /** Hangul fillers. */
    private static boolean isFiller(int c) {
        return c == 0x115f || c == 0x1160 || c == 0x3164 || c == 0xffa0;
    }

    /** The grapheme joiner, Khmer's inherent vowels, and the variation selectors. */
    private static boolean isInvisibleMark(int c) {
        return c == 0x034f
                || (c >= 0x17b4 && c <= 0x17b5)
                || (c >= 0x180b && c <= 0x180f)
                || (c >= 0xfe00 && c <= 0xfe0f)
                || (c >= 0xe0100 && c <= 0xe01ef);
    }
}
