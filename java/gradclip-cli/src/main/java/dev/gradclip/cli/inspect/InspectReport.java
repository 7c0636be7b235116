// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.inspect;

import dev.gradclip.cli.inspect.FileInspection.Inspected;
import dev.gradclip.cli.inspect.FileInspection.Measures;
import dev.gradclip.cli.safetensors.TensorEntry;
import dev.gradclip.cli.shell.Format;
import dev.gradclip.cli.shell.JsonReport;
import dev.gradclip.cli.shell.Numbers;
import dev.gradclip.cli.shell.Printable;
import dev.gradclip.cli.shell.Table;
import dev.gradclip.cli.shell.Terminal;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * The findings of {@code gradclip inspect}.
 *
 * @param file the file
 * @param tensors each of its tensors
 * @param total over those that were measured
 * @param excluded how many tensors the user left out
 * @param order of the tensors in the text
 */
record InspectReport(Path file, List<Inspected> tensors, Measures total, int excluded, InspectOrder order) {
    void print(Terminal terminal, Format format) throws IOException {
        if (format == Format.JSON) json(terminal);
        else text(terminal);
    }

    private long measured() {
        return tensors.stream().filter(t -> t.measures() != null).count();
    }

    private void text(Terminal terminal) {
        List<String> header = new ArrayList<>(List.of("tensor", "type", "share", "L2", "max|x|", "zeros"));
        if (hasNonFinite()) header.addAll(List.of("NaN", "Inf"));
        Table table = new Table(2, header.toArray(String[]::new));
        for (Inspected tensor : sorted()) {
            table.add(row(tensor.entry().name(), type(tensor.entry()), tensor.measures()));
        }
        table.add(row("total", "", total));
        table.print(terminal);
        terminal.out()
                .println(Numbers.count(measured(), "tensor") + ", "
                        + Numbers.count(total.counts().elements(), "element")
                        + (hasNonFinite() ? "" : ", no NaN and no infinity"));
        long others = tensors.size() - measured();
        if (others > 0) {
            terminal.out()
                    .println(Numbers.count(others, "tensor") + " of a dtype that is not clipped, not in the total");
        }
        if (excluded > 0) terminal.out().println(Numbers.count(excluded, "tensor") + " excluded");
    }

    private List<Inspected> sorted() {
        if (order == InspectOrder.FILE) return tensors;
        Comparator<Inspected> largestFirst = Comparator.comparingDouble(InspectReport::rank);
        return tensors.stream().sorted(largestFirst.reversed()).toList();
    }

    /** Above every norm where that is not a number, below where there is none. */
    private static double rank(Inspected tensor) {
        Measures measures = tensor.measures();
        return measures == null ? -1 : measures.l2();
    }

    /** Returns the share of a norm in the total: squares add up to 1. NaN where no share can be told. */
    private double share(Measures measures) {
        double ratio = measures.l2() / total.l2();
        return ratio * ratio;
    }

    private static String percent(double share) {
        return Double.isNaN(share) ? "-" : String.format(Locale.ROOT, "%.1f%%", 100 * share);
    }

    /** Tells if a NaN or an infinity was found; columns of zeros would say in ten characters what a word says. */
    private boolean hasNonFinite() {
        return total.counts().nan() + total.counts().infinite() > 0;
    }

    private List<String> row(String name, String type, @Nullable Measures measures) {
        List<String> row = new ArrayList<>(List.of(name, type));
        if (measures == null) {
            row.addAll(Collections.nCopies(hasNonFinite() ? 6 : 4, "-"));
            return row;
        }
        ElementStats counts = measures.counts();
        row.addAll(List.of(
                percent(share(measures)),
                Numbers.brief(measures.l2()),
                Numbers.brief(measures.max()),
                percent(counts.zeroShare())));
        if (hasNonFinite()) {
            row.add(String.format(Locale.ROOT, "%,d", counts.nan()));
            row.add(String.format(Locale.ROOT, "%,d", counts.infinite()));
        }
        return row;
    }

    private static String type(TensorEntry tensor) {
        return tensor.type().name() + Printable.shape(tensor.shape(), "×");
    }

    private void json(Terminal terminal) throws IOException {
        try (JsonReport json = new JsonReport(terminal.out())) {
            json.put("file", file.toString());
            json.objects("tensors", tensors, tensor -> {
                json.put("name", tensor.entry().name());
                json.put("dtype", tensor.entry().type().name());
                json.array("shape", tensor.entry().shape());
                json.put("elements", tensor.entry().elements());
                Measures measures = tensor.measures();
                measures(json, measures);
                double share = measures == null ? Double.NaN : share(measures);
                json.put("share", Double.isNaN(share) ? null : (Double) share);
            });
            json.object("total", () -> {
                json.put("tensors", measured());
                json.put("not_measured", tensors.size() - measured());
                if (excluded > 0) json.put("excluded", excluded);
                json.put("elements", total.counts().elements());
                measures(json, total);
            });
        }
    }

    private static void measures(JsonReport json, @Nullable Measures measures) throws IOException {
        if (measures == null) {
            for (String key : List.of("l1", "l2", "max_abs", "mean", "zero_share", "nan", "inf")) json.putNull(key);
            return;
        }
        ElementStats counts = measures.counts();
        boolean isEmpty = counts.elements() == 0;
        json.put("l1", measures.l1());
        json.put("l2", measures.l2());
        json.put("max_abs", measures.max());
        json.put("mean", isEmpty ? null : (Double) counts.mean());
        json.put("zero_share", isEmpty ? null : (Double) counts.zeroShare());
        json.put("nan", counts.nan());
        json.put("inf", counts.infinite());
    }
}
