// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.demo;

import dev.gradclip.cli.shell.BackendOptions;
import dev.gradclip.cli.shell.Numbers;
import dev.gradclip.cli.shell.Printable;
import dev.gradclip.cli.shell.Table;
import dev.gradclip.cli.shell.Terminal;
import dev.gradclip.cli.shell.Version;
import dev.gradclip.demo.Clipping;
import dev.gradclip.demo.DemoResult;
import dev.gradclip.demo.DigitsResult;
import dev.gradclip.demo.TemporalResult;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.List;

/** Prints the tables of {@code gradclip demo}. */
final class DemoText {
    private DemoText() {}

    static void print(DemoResult demo, double took, Terminal terminal) {
        PrintStream out = terminal.out();
        out.println("gradclip " + Version.number() + ", seed " + demo.plan().seed() + ", backend "
                + BackendOptions.name(demo.plan().backend()) + ", " + Numbers.fixed(took, 1) + " s");
        if (demo.plan().framework() == null) {
            out.println("A clipped run updates its weights in the clip: one call does both.");
        }
        if (demo.digits() != null) digits(demo.digits(), terminal);
        if (demo.temporalOrder() != null) temporalOrder(demo.temporalOrder(), terminal);
        out.println();
    }

    private static void digits(DigitsResult digits, Terminal terminal) {
        PrintStream out = terminal.out();
        int steps = digits.runs().get(0).trace().steps();
        out.println();
        out.println("digits: " + digits.model() + "; plain SGD, learning rate " + Numbers.brief(digits.learningRate())
                + ", " + Numbers.count(steps, "step"));
        out.println(Numbers.count(digits.train(), "image") + " to learn from, " + digits.test() + " to be tested by: "
                + Printable.escaped(digits.source()));
        Table table = new Table(1, "clipping", "final loss", "test accuracy", "steps clipped", "largest norm");
        for (DigitsResult.Run run : digits.runs()) {
            table.add(List.of(
                    run.clipping().name(),
                    Numbers.fixed(run.trace().finalLoss(), 3),
                    percent(run.accuracy(), 1),
                    percent((double) run.trace().clipped() / steps, 0),
                    Numbers.fixed(run.trace().largestNorm(), 1)));
        }
        table.print(terminal);
    }

    private static void temporalOrder(TemporalResult result, Terminal terminal) {
        PrintStream out = terminal.out();
        out.println();
        out.println("temporal-order: a tanh RNN tells in which order A and B came; plain SGD, learning rate "
                + Numbers.brief(result.learningRate()) + ", at most "
                + Numbers.count(result.updates(), "update"));
        out.println("solved: fewer than 10 of 1,000 new sequences told wrong");
        List<String> header = new ArrayList<>(List.of("length"));
        for (Clipping clipping : result.clippings()) header.add(title(clipping) + " solved");
        for (Clipping clipping : result.clippings()) header.add(title(clipping) + " largest norm");
        header.add("steps clipped");
        Table table = new Table(0, header.toArray(String[]::new));
        for (int length : result.lengths()) table.add(row(result, length));
        table.print(terminal);
    }

    private static List<String> row(TemporalResult result, int length) {
        List<String> row = new ArrayList<>(List.of(Integer.toString(length)));
        for (Clipping clipping : result.clippings()) {
            List<TemporalResult.Run> runs = result.runs(clipping, length);
            row.add(runs.stream().filter(TemporalResult.Run::solved).count() + " of " + runs.size());
        }
        for (Clipping clipping : result.clippings()) row.add(Numbers.fixed(result.largestNorm(clipping, length), 1));
        Clipping last = result.clippings().get(result.clippings().size() - 1);
        row.add(percent(result.clippedShare(last, length), 0));
        return row;
    }

    private static String title(Clipping clipping) {
        return clipping.rule() == null ? "unclipped:" : clipping.name() + ":";
    }

    private static String percent(double share, int digits) {
        return Numbers.fixed(100 * share, digits) + " %";
    }
}
