// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.shell;

import java.util.ArrayList;
import java.util.List;

/**
 * Aligned columns, two spaces apart: the first {@code textColumns} to the left, as {@link Printable#cell}, numbers to
 * the right.
 */
public final class Table {
    private final int textColumns;
    private final List<List<String>> rows = new ArrayList<>();

    public Table(int textColumns, String... header) {
        this.textColumns = textColumns;
        rows.add(List.of(header));
    }

    public void add(List<String> row) {
        List<String> cells = new ArrayList<>(row);
        cells.subList(0, textColumns).replaceAll(Printable::cell);
        rows.add(cells);
    }

    /** The lines, the header first. */
    public List<String> lines() {
        int[] widths = widths();
        List<String> lines = new ArrayList<>();
        for (List<String> row : rows) lines.add(line(row, widths));
        return lines;
    }

    private int[] widths() {
        int[] widths = new int[rows.get(0).size()];
        for (List<String> row : rows) {
            for (int i = 0; i < widths.length; i++) widths[i] = Math.max(widths[i], width(row.get(i)));
        }
        return widths;
    }

    private String line(List<String> row, int[] widths) {
        StringBuilder line = new StringBuilder();
        for (int i = 0; i < widths.length; i++) {
            String padding = " ".repeat(widths[i] - width(row.get(i)));
            if (i > 0) line.append("  ");
            line.append(i < textColumns ? row.get(i) + padding : padding + row.get(i));
        }
        return line.toString().stripTrailing();
    }

    private static int width(String text) {
        return text.codePointCount(0, text.length());
    }
}
