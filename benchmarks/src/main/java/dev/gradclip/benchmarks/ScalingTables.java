// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import dev.gradclip.cli.measure.Case;
import dev.gradclip.cli.measure.Shape;
import dev.gradclip.cli.measure.Times;
import java.io.PrintStream;
import java.util.List;
import java.util.Locale;

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
        header("| elements | bytes | case | µs | GB/s |", "|---|---|---|---|---|");
        for (Scaling.Size s : scaling.sizes()) {
            row(
                    Shape.human(s.elements()),
                    String.format(Locale.ROOT, "%,d", s.bytes()),
                    s.what().title(),
                    micros(s.times()),
                    fixed((s.what() == Case.BITES ? 3 : 1)
                            * s.bytes()
                            / s.times().median()
                            / 1e3));
        }
        out.println();
        for (Model model : Model.ofSizes(scaling.sizes())) {
            out.println("- " + model.name() + ": " + precise(model.fit().start()) + " µs + bytes / "
                    + precise(1 / model.fit().slope() / 1e3) + " GB/s, off by "
                    + percent(model.fit().residual()));
        }
        out.println();
    }

    private void counts(Scaling scaling) {
        header("| elements | tensors | case | µs |", "|---|---|---|---|");
        for (Scaling.Count c : scaling.counts()) {
            row(
                    Shape.human(c.elements()),
                    String.format(Locale.ROOT, "%,d", c.tensors()),
                    c.what().title(),
                    micros(c.times()));
        }
        out.println();
        for (Model model : Model.ofCounts(scaling.counts())) {
            out.println("- " + model.name() + ": " + precise(model.fit().start()) + " µs + tensors × "
                    + precise(model.fit().slope() * 1e3) + " ns, off by "
                    + percent(model.fit().residual()));
        }
        out.println();
    }

    private void threads(Scaling scaling) {
        header("| elements | threads | case | µs |", "|---|---|---|---|");
        for (Scaling.Threads t : scaling.threads()) {
            row(Shape.human(t.elements()), String.valueOf(t.threads()), t.what().title(), micros(t.times()));
        }
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

    private void row(String... cells) {
        out.println("| " + String.join(" | ", List.of(cells)) + " |");
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
