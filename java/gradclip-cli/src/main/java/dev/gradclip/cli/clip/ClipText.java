// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.clip;

import dev.gradclip.NonFinitePolicy;
import dev.gradclip.cli.clip.ClipReport.GroupClip;
import dev.gradclip.cli.clip.ClipReport.Rows;
import dev.gradclip.cli.clip.ClipReport.TensorClip;
import dev.gradclip.cli.rules.RuleSelection;
import dev.gradclip.cli.shell.Numbers;
import dev.gradclip.cli.shell.Printable;
import dev.gradclip.cli.shell.Table;
import dev.gradclip.cli.shell.Terminal;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** Prints a {@link ClipReport} as text. */
final class ClipText {
    private ClipText() {}

    static void print(ClipReport clip, Terminal terminal) {
        PrintStream out = terminal.out();
        if (clip.perTensor() != null)
            perTensor(clip.perTensor(), clip.rows() != null).lines().forEach(out::println);
        if (!clip.groups().isEmpty()) groups(clip).lines().forEach(out::println);
        out.println(rule(clip.selection()) + ": " + found(clip) + ", " + terminal.bold(outcome(clip)));
        out.println(Numbers.count(clip.tensors(), "tensor") + ", " + Numbers.count(clip.elements(), "element")
                + ", backend " + clip.backend() + skipped(clip.skipped()));
        if (clip.excluded() > 0) out.println(Numbers.count(clip.excluded(), "tensor") + " excluded, left as they are");
        if (clip.ungrouped() > 0) {
            out.println(Numbers.count(clip.ungrouped(), "tensor") + " in no group, left unclipped");
        }
        if (clip.withoutParameter() > 0) {
            out.println(Numbers.count(clip.withoutParameter(), "tensor") + " without weights in "
                    + Printable.escaped(String.valueOf(clip.selection().parameters())) + ", left unclipped");
        }
        if (clip.result().nonFinite()) out.println("a gradient holds a NaN or an infinity: " + consequence(clip));
    }

    /** Names the outcome; a NaN that a formula passed on is no clip that anybody wanted. */
    private static String outcome(ClipReport clip) {
        if (isPropagated(clip)) return "not finite";
        if (clip.result().skipped() && !clip.result().nonFinite()) return "skipped, OUT is a copy of IN";
        return clip.result().clipped() ? "clipped" : "not clipped";
    }

    private static boolean isPropagated(ClipReport clip) {
        return clip.result().nonFinite() && clip.selection().rule().nonFinitePolicy() == NonFinitePolicy.PROPAGATE;
    }

    private static String consequence(ClipReport clip) {
        return switch (clip.selection().rule().nonFinitePolicy()) {
            case PROPAGATE -> "OUT holds what the formula makes of it, NaN wherever that leads";
            case SKIP -> "OUT is a copy of IN";
            case ZERO -> "such elements were set to 0 first";
            case ERROR -> "OUT is not written";
        };
    }

    private static String rule(RuleSelection selection) {
        if (selection.named() != null) return selection.named().shown();
        double scale = selection.rule().inverseScale();
        boolean told = scale == 1 || !selection.groups().isEmpty();
        return selection.rule().name() + (told ? "" : " inverse-scale=" + Numbers.typed(scale));
    }

    private static String found(ClipReport clip) {
        if (!clip.measuresNorm()) return changed(clip);
        String norm = Numbers.precise(clip.result().globalNorm()) + " (type "
                + clip.selection().normType() + ")";
        if (clip.hasOneCoefficient()) {
            return "norm " + norm + ", coefficient "
                    + Numbers.brief(clip.result().coefficient()) + after(clip);
        }
        return "norm over all " + norm + (clip.rows() == null ? "" : ", " + clipped(clip.rows()) + " rows");
    }

    private static String changed(ClipReport clip) {
        long changed = clip.result().elementsChanged();
        String share = changed == 0
                ? ""
                : " (" + Numbers.brief(100.0 * changed / clip.elements()) + " % of "
                        + String.format(Locale.ROOT, "%,d", clip.elements()) + ")";
        return Numbers.count(changed, "element") + " changed" + share;
    }

    /** The norm that the coefficient leaves, where it changes one and both are numbers. */
    private static String after(ClipReport clip) {
        double after = clip.result().clippedNorm();
        return clip.result().clipped() && Double.isFinite(after) ? ", norm after " + Numbers.precise(after) : "";
    }

    private static String clipped(Rows rows) {
        return String.format(Locale.ROOT, "%,d of %,d", rows.clipped(), rows.all());
    }

    private static String skipped(int tensors) {
        return tensors == 0 ? "" : "; " + Numbers.count(tensors, "tensor") + " copied, of a dtype that is not clipped";
    }

    private static Table perTensor(List<TensorClip> clips, boolean byRows) {
        Table table = new Table(1, "name", "norm", byRows ? "rows clipped" : "coefficient");
        for (TensorClip clip : clips) {
            Rows rows = clip.rows();
            String what = rows == null ? Numbers.brief(clip.coefficient()) : clipped(rows);
            table.add(List.of(clip.name(), Numbers.brief(clip.norm()), what));
        }
        return table;
    }

    private static Table groups(ClipReport report) {
        Table table = report.measuresNorm()
                ? new Table(2, "group", "rule", "tensors", "norm", "coefficient", "rows clipped")
                : new Table(2, "group", "rule", "tensors");
        for (GroupClip clip : report.groups()) {
            List<String> row = new ArrayList<>(List.of(
                    clip.choice().name(),
                    clip.choice().chosen().shown(),
                    String.format(Locale.ROOT, "%,d", clip.tensors())));
            if (report.measuresNorm()) {
                row.add(Numbers.brief(clip.norm()));
                row.add(clip.hasCoefficient() ? Numbers.brief(clip.coefficient()) : "-");
                row.add(clip.rows() == null ? "-" : clipped(clip.rows()));
            }
            table.add(row);
        }
        return table;
    }
}
