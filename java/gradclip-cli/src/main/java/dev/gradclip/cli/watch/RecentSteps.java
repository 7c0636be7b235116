// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.watch;

import dev.gradclip.cli.shell.Numbers;
import dev.gradclip.report.RunStep;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/** The latest steps of a run, and counts of all. */
final class RecentSteps {
    /** Eighths of a line, from the bottom. */
    private static final String BARS = " ▁▂▃▄▅▆▇█";

    private static final int COLUMNS = 64;
    private static final int ROWS = 8;

    private final int most;
    private final ArrayDeque<RunStep> recent = new ArrayDeque<>();
    private long steps;
    private long clipped;
    private long skipped;
    private long nonFinite;

    /** @param most the steps to keep */
    RecentSteps(int most) {
        this.most = most;
    }

    void add(RunStep step) {
        if (recent.size() == most) recent.removeFirst();
        recent.addLast(step);
        steps++;
        if (step.clipped()) clipped++;
        if (step.skipped()) skipped++;
        if (step.nonFinite()) nonFinite++;
    }

    boolean isEmpty() {
        return steps == 0;
    }

    /** One line for a step, as a pipe gets it. */
    static String line(RunStep step) {
        StringBuilder line =
                new StringBuilder("step " + step.step() + "  norm " + number(step.norm(), step.nonFinite()));
        if (!Double.isNaN(step.threshold())) line.append("  threshold ").append(Numbers.brief(step.threshold()));
        if (!Double.isNaN(step.coefficient())) line.append("  coefficient ").append(Numbers.brief(step.coefficient()));
        if (step.clipped()) line.append("  clipped");
        if (step.nonFinite()) line.append("  not finite");
        if (step.skipped()) line.append("  skipped");
        return line.toString();
    }

    private static String number(double norm, boolean nonFinite) {
        return Double.isNaN(norm) && !nonFinite ? "-" : Numbers.brief(norm);
    }

    /** The figures and the plot, in lines of at most 80 columns. */
    List<String> lines() {
        List<String> lines = new ArrayList<>();
        RunStep last = recent.getLast();
        lines.add("step " + last.step() + ": norm " + number(last.norm(), last.nonFinite())
                + (Double.isNaN(last.threshold()) ? "" : ", threshold " + Numbers.brief(last.threshold()))
                + (last.skipped() ? ", skipped" : last.clipped() ? ", clipped" : ""));
        lines.add(Numbers.count(steps, "step") + ", clipped " + percent(clipped, steps)
                + (skipped > 0 ? ", skipped " + percent(skipped, steps) : "")
                + (nonFinite > 0 ? ", not finite " + percent(nonFinite, steps) : ""));
        double[] norms = recent.stream()
                .mapToDouble(RunStep::norm)
                .filter(norm -> norm > 0 && !Double.isInfinite(norm))
                .sorted()
                .toArray();
        if (norms.length == 0) {
            lines.add("no norm above 0 to draw in the last " + Numbers.count(recent.size(), "step"));
            return lines;
        }
        lines.add("last " + Numbers.count(recent.size(), "step") + ": median "
                + Numbers.brief(norms[(norms.length - 1) / 2]) + ", largest "
                + Numbers.brief(norms[norms.length - 1]) + ", clipped "
                + percent(recent.stream().filter(RunStep::clipped).count(), recent.size()));
        lines.add("");
        lines.addAll(plot(norms[0], norms[norms.length - 1]));
        return lines;
    }

    private static String percent(long part, long whole) {
        double share = 100.0 * part / whole;
        if (part > 0 && share < 0.1) return "< 0.1 %";
        if (part < whole && share > 99.9) return "> 99.9 %";
        return String.format(
                Locale.ROOT, part > 0 && part < whole && (share < 10 || share > 99) ? "%.1f %%" : "%.0f %%", share);
    }

    /** A column is the largest norm of some steps; the axis is logarithmic. */
    private List<String> plot(double smallest, double largest) {
        int width = (recent.size() + COLUMNS - 1) / COLUMNS;
        int columns = (recent.size() + width - 1) / width;
        double[] norms = new double[columns];
        char[] marks = new char[columns];
        Arrays.fill(marks, ' ');
        int i = 0;
        for (RunStep step : recent) {
            int column = i++ / width;
            if (step.norm() > norms[column] && !Double.isInfinite(step.norm())) norms[column] = step.norm();
            if (step.skipped() || step.nonFinite()) marks[column] = 'x';
            else if (step.clipped() && marks[column] == ' ') marks[column] = '^';
        }
        double limit = recent.getLast().threshold();
        boolean drawn = limit > 0 && limit >= smallest / 10 && limit <= largest * 10;
        double low = Math.log10(drawn ? Math.min(limit, smallest) : smallest) - 0.05;
        double high = Math.log10(drawn ? Math.max(limit, largest) : largest) + 0.05;
        int limitRow = drawn ? (int) ((Math.log10(limit) - low) / (high - low) * ROWS) : -1;
        List<String> lines = new ArrayList<>();
        for (int row = ROWS - 1; row >= 0; row--) {
            StringBuilder line = new StringBuilder();
            for (double norm : norms) {
                double place = norm == 0 ? 0 : (Math.log10(norm) - low) / (high - low) * ROWS - row;
                int eighths = (int) Math.round(Math.max(0, Math.min(1, place)) * 8);
                line.append(eighths == 0 && row == limitRow ? '-' : BARS.charAt(eighths));
            }
            lines.add(label(row, limitRow, limit, low, high) + line.toString().stripTrailing());
        }
        lines.add((" ".repeat(12) + new String(marks)).stripTrailing());
        lines.add("largest norm of " + (width == 1 ? "each step" : "each " + width + " steps")
                + " (log); ^ clipped, x not finite" + (drawn ? ", --- threshold" : ""));
        return lines;
    }

    private static String label(int row, int limitRow, double limit, double low, double high) {
        String label = row == limitRow
                ? Numbers.brief(limit)
                : row == 0 || row == ROWS - 1 ? roughly(Math.pow(10, low + (row + 0.5) / ROWS * (high - low))) : "";
        return " ".repeat(Math.max(0, 10 - label.length())) + label + " |";
    }

    private static String roughly(double norm) {
        return Numbers.brief(Double.parseDouble(String.format(Locale.ROOT, "%.1e", norm)));
    }
}
