// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.safetensors;

/** Text from files as it is shown to people: names may hold line ends, terminal escapes, or megabytes. */
public final class Shown {
    private static final int LONGEST = 120;

    private Shown() {}

    /** In single quotes, the middle left out where it is long. */
    public static String quoted(String text) {
        return "'" + escaped(shortened(text, LONGEST)) + "'";
    }

    /** Without control characters, so that it stays on one line and cannot steer a terminal. */
    public static String escaped(String text) {
        StringBuilder result = new StringBuilder(text.length());
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (isUnsafe(c)) result.append(String.format("\\u%04x", (int) c));
            else result.append(c);
        }
        return result.toString();
    }

    /** At most {@code longest} characters and an ellipsis. */
    public static String shortened(String text, int longest) {
        if (text.length() <= longest) return text;
        return text.substring(0, longest / 2) + "…" + text.substring(text.length() - longest / 2);
    }

    private static boolean isUnsafe(char c) {
        boolean reorders = (c >= '\u202a' && c <= '\u202e') || (c >= '\u2066' && c <= '\u2069');
        return Character.isISOControl(c) || c == '\u2028' || c == '\u2029' || reorders;
    }
}
