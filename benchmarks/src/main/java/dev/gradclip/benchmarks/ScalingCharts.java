// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import dev.gradclip.measure.Png;
import dev.gradclip.measure.Shape;
import java.awt.BasicStroke;
import java.awt.Color;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.knowm.xchart.CategoryChart;
import org.knowm.xchart.CategoryChartBuilder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.internal.chartpart.Chart;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** {@link Scaling} as PNG files. */
final class ScalingCharts {
    private static final int WIDTH = 800;
    private static final int HEIGHT = 500;

    private final Path folder;

    private ScalingCharts(Path folder) {
        this.folder = folder;
    }

    /** Writes {@code scaling-….png} into a folder; without fonts it says so once. */
    static void write(Scaling scaling, Path folder) throws IOException {
        Files.createDirectories(folder);
        ScalingCharts charts = new ScalingCharts(folder);
        boolean written = charts.save("size", () -> sizes(scaling))
                && charts.save("tensors", () -> tensors(scaling))
                && charts.save("threads", () -> threads(scaling))
                && charts.save("rebind", () -> rebinds(scaling))
                && charts.save("start", () -> starts(scaling));
        if (!written) System.err.println("no charts: " + Png.REMEDY);
    }

    private boolean save(String name, Supplier<Chart<?, ?>> chart) throws IOException {
        byte[] png = Png.bytes(chart);
        if (png != null) Files.write(folder.resolve("scaling-" + name + ".png"), png);
        return png != null;
    }

    private static XYChart sizes(Scaling scaling) {
        XYChart chart =
                logarithmic("Time by size: one FLOAT32 tensor; dashed: start + bytes / rate", "bytes of all gradients");
        Map<String, List<Fit.Point>> lines = new LinkedHashMap<>();
        for (Scaling.Size s : scaling.sizes()) {
            add(lines, s.what().title(), (double) s.bytes(), s.times().median());
        }
        draw(chart, lines);
        for (Model model : Model.ofSizes(scaling.sizes())) {
            if (!model.name().contains("all sizes")) fitted(chart, model);
        }
        return chart;
    }

    private static XYChart tensors(Scaling scaling) {
        XYChart chart = logarithmic("Time by number of tensors, as many elements", "tensors");
        Map<String, List<Fit.Point>> lines = new LinkedHashMap<>();
        for (Scaling.Count c : scaling.counts()) {
            add(
                    lines,
                    Shape.human(c.elements()) + ", " + c.what().title(),
                    c.tensors(),
                    c.times().median());
        }
        draw(chart, lines);
        return chart;
    }

    private static XYChart threads(Scaling scaling) {
        XYChart chart = logarithmic("Time by number of threads", "threads");
        chart.getStyler().setXAxisLogarithmic(false);
        chart.getStyler().setXAxisDecimalPattern("0.#");
        Map<String, List<Fit.Point>> lines = new LinkedHashMap<>();
        for (Scaling.Threads t : scaling.threads()) {
            add(
                    lines,
                    Shape.human(t.elements()) + ", " + t.what().title(),
                    t.threads(),
                    t.times().median());
        }
        draw(chart, lines);
        return chart;
    }

    private static CategoryChart rebinds(Scaling scaling) {
        CategoryChart chart = bars("A step whose gradients are elsewhere", "µs");
        List<String> names = new ArrayList<>();
        List<Double> alone = new ArrayList<>();
        List<Double> step = new ArrayList<>();
        for (Scaling.Rebind r : scaling.rebinds()) {
            names.add(r.moved() + " of " + r.tensors() + " tensors moved");
            alone.add(r.rebind().median());
            step.add(r.step().median());
        }
        chart.addSeries("rebind", names, alone);
        chart.addSeries("rebind + clip that bites", names, step);
        return chart;
    }

    private static CategoryChart starts(Scaling scaling) {
        CategoryChart chart = bars("From the start of a JVM to its first clip", "ms");
        chart.getStyler().setLegendVisible(false);
        List<String> names = new ArrayList<>();
        List<Double> millis = new ArrayList<>();
        for (Scaling.Start s : scaling.starts()) {
            names.add(s.part());
            millis.add(s.median());
        }
        chart.addSeries("median", names, millis);
        return chart;
    }

    private static XYChart logarithmic(String title, String x) {
        XYChart chart = new XYChartBuilder()
                .width(WIDTH)
                .height(HEIGHT)
                .title(title)
                .xAxisTitle(x)
                .yAxisTitle("µs a call, median")
                .build();
        Png.style(chart.getStyler());
        chart.getStyler().setXAxisLogarithmic(true);
        chart.getStyler().setYAxisLogarithmic(true);
        chart.getStyler().setMarkerSize(6);
        return chart;
    }

    private static CategoryChart bars(String title, String y) {
        CategoryChart chart = new CategoryChartBuilder()
                .width(WIDTH)
                .height(HEIGHT)
                .title(title)
                .yAxisTitle(y)
                .build();
        Png.style(chart.getStyler());
        chart.getStyler().setYAxisMin(0.0);
        chart.getStyler().setLabelsVisible(true);
        chart.getStyler().setDecimalPattern("#,##0.#");
        return chart;
    }

    private static void add(Map<String, List<Fit.Point>> lines, String name, double x, double y) {
        lines.computeIfAbsent(name, n -> new ArrayList<>()).add(new Fit.Point(x, y));
    }

    private static void draw(XYChart chart, Map<String, List<Fit.Point>> lines) {
        lines.forEach((name, points) -> chart.addSeries(
                name,
                points.stream().mapToDouble(Fit.Point::x).toArray(),
                points.stream().mapToDouble(Fit.Point::y).toArray()));
    }

    /** A dashed line; between points that are a power apart a straight line would hide how the model bends. */
    private static void fitted(XYChart chart, Model model) {
        int count = 30;
        double[] x = new double[count];
        double[] y = new double[count];
        for (int i = 0; i < count; i++) {
            x[i] = model.from() * Math.pow(model.to() / model.from(), i / (count - 1.0));
            y[i] = Math.max(model.fit().at(x[i]), Double.MIN_NORMAL);
        }
        XYSeries series = chart.addSeries("fit: " + model.name(), x, y);
        series.setShowInLegend(false);
        series.setMarker(SeriesMarkers.NONE);
        series.setLineColor(Color.BLACK);
        series.setLineStyle(
                new BasicStroke(1.5f, BasicStroke.CAP_BUTT, BasicStroke.JOIN_ROUND, 1, new float[] {6, 4}, 0));
    }
}
