// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.shell;

import java.util.ArrayList;
import java.util.List;

/** A table of aligned columns: the first {@code textColumns} to the left, as {@link Printable#cell}, others right. */
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

    /** Returns the lines, the header first. */
    public List<String> lines() {
        int[] widths = widths();
        List<String> lines = new ArrayList<>();
        for (List<String> row : rows) lines.add(line(row, widths));
        return lines;
    }

    /** Prints the lines, the header in bold on a terminal. */
    public void print(Terminal terminal) {
        List<String> lines = lines();
        terminal.out().println(terminal.bold(lines.get(0)));
        lines.subList(1, lines.size()).forEach(terminal.out()::println);
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
