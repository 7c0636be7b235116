// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import dev.gradclip.measure.Case;
import dev.gradclip.measure.Shape;
import dev.gradclip.measure.Times;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** {@link Scaling} as Markdown. */
final class ScalingTables {
    private final PrintStream out;

    private ScalingTables(PrintStream out) {
        this.out = out;
    }

    static void print(Scaling scaling, PrintStream out) {
        ScalingTables tables = new ScalingTables(out);
        tables.sizes(scaling);
        tables.counts(scaling);
        tables.threads(scaling);
        tables.rebinds(scaling);
        tables.starts(scaling);
    }

    private void sizes(Scaling scaling) {
        header("| elements | norm µs | GB/s | clip µs (bites) | GB/s |", "|---|---|---|---|---|");
        Map<String, List<String>> rows = new LinkedHashMap<>();
        for (Scaling.Size s : scaling.sizes()) {
            List<String> cells = cells(rows, Shape.human(s.elements()));
            cells.add(micros(s.times()));
            cells.add(fixed(
                    (s.what() == Case.BITES ? 3 : 1) * s.bytes() / s.times().median() / 1e3));
        }
        rows.values().forEach(this::row);
        out.println();
        for (Model model : Model.ofSizes(scaling.sizes())) {
            out.println("- " + model.name() + ": " + precise(model.fit().start()) + " µs + bytes / "
                    + precise(1 / model.fit().slope() / 1e3) + " GB/s, off by "
                    + percent(model.fit().residual()));
        }
        out.println();
    }

    private void counts(Scaling scaling) {
        header("| elements | tensors | norm µs | clip µs (bites) |", "|---|---|---|---|");
        Map<String, List<String>> rows = new LinkedHashMap<>();
        for (Scaling.Count c : scaling.counts()) {
            cells(rows, Shape.human(c.elements()), String.format(Locale.ROOT, "%,d", c.tensors()))
                    .add(micros(c.times()));
        }
        rows.values().forEach(this::row);
        out.println();
        for (Model model : Model.ofCounts(scaling.counts())) {
            out.println("- " + model.name() + ": " + precise(model.fit().start()) + " µs + tensors × "
                    + precise(model.fit().slope() * 1e3) + " ns, off by "
                    + percent(model.fit().residual()));
        }
        out.println();
    }

    private void threads(Scaling scaling) {
        header("| elements | threads | norm µs | clip µs (bites) |", "|---|---|---|---|");
        Map<String, List<String>> rows = new LinkedHashMap<>();
        for (Scaling.Threads t : scaling.threads()) {
            cells(rows, Shape.human(t.elements()), String.valueOf(t.threads())).add(micros(t.times()));
        }
        rows.values().forEach(this::row);
        out.println();
    }

    private void rebinds(Scaling scaling) {
        header("| tensors | moved | rebind µs | ns a tensor | rebind + clip µs |", "|---|---|---|---|---|");
        for (Scaling.Rebind r : scaling.rebinds()) {
            row(
                    String.valueOf(r.tensors()),
                    String.valueOf(r.moved()),
                    micros(r.rebind()),
                    fixed(1e3 * r.rebind().median() / r.tensors()),
                    micros(r.step()));
        }
        out.println();
    }

    private void starts(Scaling scaling) {
        header("| part | ms | least | most |", "|---|---|---|---|");
        for (Scaling.Start s : scaling.starts()) {
            row(s.part(), precise(s.median()), precise(s.least()), precise(s.most()));
        }
        out.println();
    }

    private void header(String titles, String rule) {
        out.println(titles);
        out.println(rule);
    }

    /** The row that begins with these cells, for the cases to be added one after the other. */
    private static List<String> cells(Map<String, List<String>> rows, String... first) {
        return rows.computeIfAbsent(String.join("/", first), key -> new ArrayList<>(List.of(first)));
    }

    private void row(String... cells) {
        row(List.of(cells));
    }

    private void row(List<String> cells) {
        out.println("| " + String.join(" | ", cells) + " |");
    }

    private static String micros(Times times) {
        return precise(times.median()) + " (" + precise(times.low()) + " to " + precise(times.high()) + ")";
    }

    private static String precise(double value) {
        return String.format(Locale.ROOT, value < 10 ? "%.2f" : "%.1f", value);
    }

    private static String fixed(double value) {
        return String.format(Locale.ROOT, "%.1f", value);
    }

    private static String percent(double share) {
        return String.format(Locale.ROOT, "%.0f %%", 100 * share);
    }
}
