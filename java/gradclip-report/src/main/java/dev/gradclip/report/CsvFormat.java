// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.report;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** Writes comma-separated values (RFC 4180, lines end with a line feed); a cell without a value is empty. */
final class CsvFormat implements RunFormat {
    static final List<String> COLUMNS =
            List.of("step", "time", "norm", "threshold", "coefficient", "clipped", "non_finite", "skipped");

    /** Before the name of what a further column has the norm of. */
    static final String NORM = "norm:";

    private final ByteArrayOutputStream out;
    private @Nullable List<String> names;

    CsvFormat(ByteArrayOutputStream out) {
        this.out = out;
    }

    @Override
    public void head(@Nullable String rule, String normType, String of, List<String> columns) {
        if (columns.equals(names)) return;
        names = columns;
        List<String> cells = new ArrayList<>(COLUMNS);
        for (String name : columns) cells.add(quoted(NORM + name));
        line(cells);
    }

    @Override
    public void step(RunStep step, Collection<Double> norms) {
        List<String> cells = new ArrayList<>();
        cells.add(Long.toString(step.step()));
        cells.add(String.format(Locale.ROOT, "%.3f", step.time()));
        cells.add(Double.isNaN(step.norm()) && step.nonFinite() ? "nan" : number(step.norm()));
        cells.add(number(step.threshold()));
        cells.add(number(step.coefficient()));
        cells.add(Boolean.toString(step.clipped()));
        cells.add(Boolean.toString(step.nonFinite()));
        cells.add(Boolean.toString(step.skipped()));
        for (double norm : norms) cells.add(Double.isNaN(norm) ? "nan" : number(norm));
        line(cells);
    }

    private void line(List<String> cells) {
        out.writeBytes((String.join(",", cells) + "\n").getBytes(StandardCharsets.UTF_8));
    }

    private static String number(double value) {
        if (Double.isNaN(value)) return "";
        return Double.isInfinite(value) ? JsonFormat.nonFinite(value) : Double.toString(value);
    }

    private static String quoted(String cell) {
        if (cell.chars().noneMatch(c -> c == ',' || c == '"' || c == '\n' || c == '\r')) return cell;
        // A cell with a line end would be two lines to a reader of lines.
        return '"' + cell.replace("\"", "\"\"").replace('\n', ' ').replace('\r', ' ') + '"';
    }
}
