// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import dev.gradclip.measure.DotRows;
import dev.gradclip.measure.Png;
import dev.gradclip.measure.Shape;
import java.awt.Color;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.style.markers.SeriesMarkers;

/**
 * How many times as long as this library each contender takes for a clip that changes the gradients: a chart for each
 * workload, a row for each contender.
 */
final class PeerChart {
    private static final int COLUMNS = 2;
    private static final int ROW_HEIGHT = 20;

    /** What the text right of the largest number needs, as a factor on a logarithmic axis. */
    private static final double ROOM = 4;

    private static final Color OURS = new Color(0x00798C);
    private static final Color OTHERS = new Color(0x8A6A2F);
    private static final Pattern EQUAL = Pattern.compile("(\\d+)x(\\d+)");
    private static final Pattern LONG = Pattern.compile("\\d{5,}");

    /** A time as a multiple of this library's, in the same process. */
    private record Ratio(double median, double low, double high) {}

    private final Map<String, Map<String, Ratio>> byWorkload = new LinkedHashMap<>();
    private final Set<String> contenders = new LinkedHashSet<>();

    private PeerChart(List<DuelSample> samples) {
        // A peer's own process: the samples of this library before it are its.
        List<DuelSample> process = List.of();
        for (DuelSample sample : samples) {
            if (!sample.what().equals(DuelCase.BITES.toString())) continue;
            if (sample.contender().equals(PeerTable.OURS)) process = List.of(sample);
            double median = PeerTable.ratio(sample, process);
            if (!(median > 0) || Double.isInfinite(median)) continue;
            contenders.add(sample.contender());
            double unit = median / sample.micros();
            byWorkload
                    .computeIfAbsent(sample.workload(), key -> new LinkedHashMap<>())
                    .putIfAbsent(sample.contender(), new Ratio(median, sample.low() * unit, sample.high() * unit));
        }
    }

    /** Writes a PNG; without fonts, or clips to draw, it says so. */
    static void write(List<DuelSample> samples, Path file) throws IOException {
        PeerChart charts = new PeerChart(samples);
        if (charts.byWorkload.isEmpty()) {
            System.err.println("no chart: no clip that changes gradients was timed beside " + PeerTable.OURS);
            return;
        }
        byte[] png = Png.inColumns(charts::charts, COLUMNS);
        if (png == null) System.err.println("no chart: " + Png.REMEDY);
        else Files.write(file, png);
    }

    /** All with one axis, so that workloads can be compared. */
    private List<XYChart> charts() {
        double least = 1;
        double most = 1;
        for (Map<String, Ratio> ratios : byWorkload.values()) {
            for (Ratio ratio : ratios.values()) {
                least = Math.min(least, ratio.low());
                most = Math.max(most, ratio.high());
            }
        }
        List<String> names = List.copyOf(contenders);
        List<XYChart> charts = new ArrayList<>();
        for (Map.Entry<String, Map<String, Ratio>> workload : byWorkload.entrySet()) {
            DotRows rows = new DotRows(
                    title(workload.getKey()),
                    "time of a clip ÷ that of " + PeerTable.OURS + "; lines: 10 % to 90 % of calls",
                    names,
                    ROW_HEIGHT,
                    least * 0.9,
                    most * ROOM);
            rows.line(1, OURS);
            rows.dots("gradclip", OURS, SeriesMarkers.CIRCLE, 0, dots(names, workload.getValue(), true));
            rows.dots(
                    "other libraries and loops",
                    OTHERS,
                    SeriesMarkers.DIAMOND,
                    0,
                    dots(names, workload.getValue(), false));
            for (String name : names) {
                if (!workload.getValue().containsKey(name)) rows.note(names.indexOf(name), "not timed");
            }
            charts.add(rows.chart());
        }
        return charts;
    }

    private static List<DotRows.Dot> dots(List<String> names, Map<String, Ratio> ratios, boolean ours) {
        List<DotRows.Dot> dots = new ArrayList<>();
        for (int row = 0; row < names.size(); row++) {
            Ratio ratio = ratios.get(names.get(row));
            if (ratio == null || names.get(row).startsWith("gradclip") != ours) continue;
            dots.add(new DotRows.Dot(row, ratio.median(), ratio.low(), ratio.high(), text(ratio.median())));
        }
        return dots;
    }

    private static String text(double ratio) {
        return String.format(Locale.ROOT, ratio < 10 ? "%.2f" : "%.0f", ratio);
    }

    private static String title(String workload) {
        Matcher equal = EQUAL.matcher(workload);
        if (!equal.matches()) {
            // 218112000 is hard to read.
            return LONG.matcher(workload)
                    .replaceAll(digits -> String.format(Locale.ROOT, "%,d", Long.parseLong(digits.group())));
        }
        return equal.group(1) + (equal.group(1).equals("1") ? " tensor of " : " tensors of ")
                + Shape.human(Long.parseLong(equal.group(2))).replaceFirst("(?=[KMG])", " ") + " elements";
    }
}
