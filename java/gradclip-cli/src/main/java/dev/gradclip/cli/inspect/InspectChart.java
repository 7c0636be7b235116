// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.inspect;

import dev.gradclip.cli.inspect.FileInspection.Inspected;
import dev.gradclip.cli.inspect.FileInspection.Measures;
import dev.gradclip.cli.shell.AtomicOutput;
import dev.gradclip.cli.shell.Numbers;
import dev.gradclip.cli.shell.OutputTarget;
import dev.gradclip.cli.shell.Printable;
import dev.gradclip.cli.shell.Terminal;
import dev.gradclip.measure.Png;
import java.awt.BasicStroke;
import java.awt.Color;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.TreeMap;
import java.util.function.DoubleUnaryOperator;
import org.jspecify.annotations.Nullable;
import org.knowm.xchart.HorizontalBarChart;
import org.knowm.xchart.HorizontalBarChartBuilder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.internal.chartpart.Chart;
import org.knowm.xchart.style.markers.SeriesMarkers;

/**
 * Draws how large the elements of a file are, before and after a rule, and the share of each tensor in the norm.
 *
 * @param tensors each of the file's
 * @param total over those that were measured
 * @param magnitudes of all elements
 * @param rule what becomes of a magnitude, null where nothing does
 * @param after the name of the rule
 */
record InspectChart(
        List<Inspected> tensors,
        Measures total,
        Magnitudes magnitudes,
        @Nullable DoubleUnaryOperator rule,
        String after) {
    private static final Color BEFORE = new Color(0x9AA5B1);
    private static final Color AFTER = new Color(0x00798C);
    private static final int MOST_BARS = 15;
    private static final int LONGEST_NAME = 30;

    /** The decades from which on a bar is a whole decade wide. */
    private static final int MANY_DECADES = 20;

    /** Writes the file; where the JVM has no fonts it says what to do and goes on. */
    void write(OutputTarget target, Terminal terminal) throws IOException {
        byte[] png = Png.besideEachOther(this::charts);
        String name = Printable.escaped(target.path().toString());
        if (png == null) {
            terminal.err().println("gradclip: " + name + " is not written: " + Png.REMEDY);
            return;
        }
        AtomicOutput.write(target, png);
    }

    private List<Chart<?, ?>> charts() {
        List<Chart<?, ?>> charts = new ArrayList<>();
        charts.add(histogram());
        HorizontalBarChart shares = shares();
        if (shares != null) charts.add(shares);
        return charts;
    }

    private XYChart histogram() {
        XYChart chart = new XYChartBuilder()
                .width(620)
                .height(440)
                .title("how large the elements are")
                .xAxisTitle("|element|, logarithmic"
                        + (magnitudes.zeroShare() > 0 ? "; " + percent(magnitudes.zeroShare()) + " are 0" : ""))
                .yAxisTitle("share of all elements, %")
                .build();
        Png.style(chart.getStyler());
        chart.getStyler().setXAxisLogarithmic(true);
        // A logarithmic axis has nine of them in each decade.
        chart.getStyler().setPlotGridVerticalLinesVisible(false);
        chart.getStyler().setYAxisMin(0.0);
        TreeMap<Double, Double> fine = new TreeMap<>();
        magnitudes.forEach(size -> size, (size, share) -> fine.put(size, share));
        if (fine.isEmpty()) fine.put(1.0, 0.0);
        double decades = Math.log10(fine.lastKey()) - Math.log10(fine.firstKey());
        int perDecade = decades > MANY_DECADES ? 1 : 5;
        add(chart, rule == null ? "elements" : "before", size -> size, perDecade, BEFORE, true);
        if (rule != null) add(chart, after, rule, perDecade, AFTER, false);
        return chart;
    }

    private void add(XYChart chart, String name, DoubleUnaryOperator by, int perDecade, Color colour, boolean filled) {
        TreeMap<Integer, Double> bars = new TreeMap<>();
        magnitudes.forEach(by, (size, share) -> {
            if (size > 0) bars.merge((int) Math.floor(Math.log10(size) * perDecade), share, Double::sum);
        });
        if (bars.isEmpty()) bars.put(0, 0.0);
        List<Double> x = new ArrayList<>();
        List<Double> y = new ArrayList<>();
        // The outline of bars, down to 0 at both ends.
        x.add(edge(bars.firstKey(), perDecade));
        y.add(0.0);
        for (int bar = bars.firstKey(); bar <= bars.lastKey(); bar++) {
            double height = 100 * bars.getOrDefault(bar, 0.0);
            x.addAll(List.of(edge(bar, perDecade), edge(bar + 1, perDecade)));
            y.addAll(List.of(height, height));
        }
        x.add(edge(bars.lastKey() + 1, perDecade));
        y.add(0.0);
        XYSeries series = chart.addSeries(name, x, y);
        series.setXYSeriesRenderStyle(filled ? XYSeries.XYSeriesRenderStyle.Area : XYSeries.XYSeriesRenderStyle.Line);
        series.setFillColor(new Color(colour.getRed(), colour.getGreen(), colour.getBlue(), 110));
        series.setLineColor(colour);
        series.setLineStyle(new BasicStroke(2));
        series.setMarker(SeriesMarkers.NONE);
    }

    private static double edge(int bar, int perDecade) {
        return Math.max(Double.MIN_VALUE, Math.min(Double.MAX_VALUE, Math.pow(10, (double) bar / perDecade)));
    }

    /** The largest shares, the largest on top; null where no norm is a number above 0. */
    private @Nullable HorizontalBarChart shares() {
        List<Inspected> measured = new ArrayList<>();
        for (Inspected tensor : tensors) if (tensor.measures() != null) measured.add(tensor);
        if (!(total.l2() > 0) || Double.isInfinite(total.l2())) return null;
        measured.sort(Collections.reverseOrder((a, b) -> Double.compare(l2(a), l2(b))));
        List<Inspected> shown = new ArrayList<>(measured.subList(0, Math.min(MOST_BARS, measured.size())));
        HorizontalBarChart chart = new HorizontalBarChartBuilder()
                .width(620)
                .height(440)
                .title("share of the norm"
                        + (shown.size() < measured.size()
                                ? ", the largest " + shown.size() + " of " + Numbers.count(measured.size(), "tensor")
                                : ""))
                .xAxisTitle("(norm of the tensor / norm over all)², %")
                .build();
        Png.style(chart.getStyler());
        chart.getStyler().setLegendVisible(false);
        chart.getStyler().setXAxisMin(0.0);
        chart.getStyler().setSeriesColors(new Color[] {AFTER});
        List<Double> shares = new ArrayList<>();
        List<String> names = new ArrayList<>();
        for (Inspected tensor : shown) {
            double ratio = l2(tensor) / total.l2();
            shares.add(100 * ratio * ratio);
            names.add(label(tensor.entry().name(), names));
        }
        chart.getStyler().setXAxisMaxLabelCount(names.size());
        chart.addSeries("share", shares, names);
        return chart;
    }

    private static double l2(Inspected tensor) {
        Measures measures = tensor.measures();
        return measures == null ? 0 : measures.l2();
    }

    /** The end of a name, which tells more than its beginning, and differs from those before. */
    private static String label(String name, List<String> taken) {
        String shown = Printable.escaped(name);
        if (shown.length() > LONGEST_NAME) shown = "…" + shown.substring(shown.length() - LONGEST_NAME + 1);
        while (taken.contains(shown)) shown += " ";
        return shown;
    }

    private static String percent(double share) {
        return String.format(Locale.ROOT, "%.1f %%", 100 * share);
    }
}
