// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.bench;

import dev.gradclip.cli.shell.BackendOptions;
import dev.gradclip.cli.shell.Numbers;
import dev.gradclip.cli.shell.Table;
import dev.gradclip.cli.shell.Terminal;
import dev.gradclip.cli.shell.Version;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.List;

/** Prints the table of {@code gradclip bench}, a bar a row, and what it means. */
final class BenchText {
    private static final int BAR = 20;

    private BenchText() {}

    static void print(BenchReport bench, Terminal terminal) {
        PrintStream out = terminal.out();
        out.println("gradclip " + Version.number() + ", " + Numbers.count(bench.threads(), "thread") + " on "
                + Numbers.count(Runtime.getRuntime().availableProcessors(), "processor") + ", SIMD "
                + BackendOptions.simd() + ", " + Numbers.fixed(bench.took(), 1) + " s");
        out.println();
        table(bench, terminal);
        for (BenchPlan.LeftOut left : bench.leftOut()) {
            out.println("left out: " + left.shape().label() + " " + left.shape().type() + ", " + left.reason());
        }
        out.println();
        BenchSummary.of(bench).forEach(out::println);
    }

    private static void table(BenchReport bench, Terminal terminal) {
        Table table =
                new Table(4, "tensors", "type", "case", "backend", "median us", "10 %", "90 %", "GB/s", "of limit");
        List<String> bars = new ArrayList<>();
        for (BenchRow row : bench.rows()) {
            table.add(List.of(
                    row.shape().label(),
                    row.shape().type(),
                    row.what().title(),
                    BackendOptions.name(row.backend()),
                    Numbers.fixed(row.times().median(), 1),
                    Numbers.fixed(row.times().low(), 1),
                    Numbers.fixed(row.times().high(), 1),
                    Numbers.fixed(row.gigabytesPerSecond(), 1),
                    row.hasLimit() ? Numbers.fixed(row.ofLimit(), 2) : "-"));
            bars.add(row.hasLimit() ? bar(row.ofLimit()) : "");
        }
        List<String> lines = table.lines();
        terminal.out().println(terminal.bold(lines.get(0)));
        for (int i = 0; i < bars.size(); i++) {
            terminal.out().println((lines.get(i + 1) + "  " + bars.get(i)).stripTrailing());
        }
    }

    /** Draws a share as a bar that is full at 1; a larger one ends in a plus. */
    static String bar(double share) {
        int filled = (int) Math.round(Math.min(share, 1) * BAR);
        return "#".repeat(filled) + ".".repeat(BAR - filled) + (share * BAR >= BAR + 0.5 ? "+" : "");
    }
}
