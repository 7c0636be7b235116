// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.demo;

import dev.gradclip.NormRule;
import dev.gradclip.demo.Clipping;
import dev.gradclip.demo.DemoResult;
import dev.gradclip.demo.DigitsResult;
import dev.gradclip.demo.TemporalResult;
import dev.gradclip.demo.Trace;
import dev.gradclip.measure.Png;
import java.awt.BasicStroke;
import java.awt.Color;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** Draws loss and gradient norm over the steps, and success over the length, with and without clipping. */
final class DemoChart {
    private static final int POINTS = 100;
    private static final double SMALLEST = 1e-6;

    /** In the unit of the axis of lengths. */
    private static final double APART = 0.5;

    /** Of a normal distribution 95 % are so many standard deviations from the middle, or less. */
    private static final double NORMAL_95 = 1.959964;

    /** The colours without clipping, by value and by norm differ in lightness too. */
    private static final Color NONE = new Color(0xD1495B);

    private static final Color VALUE = new Color(0xEDAE49);
    private static final Color NORM = new Color(0x00798C);

    /** Of the runs on images, in their order: a norm that is too wide and a threshold that was found are the last. */
    private static final List<Color> RUNS = List.of(NONE, VALUE, NORM, new Color(0x9AA5B1), new Color(0x4C3B8F));

    private DemoChart() {}

    static List<XYChart> charts(DemoResult demo) {
        List<XYChart> charts = new ArrayList<>();
        if (demo.digits() != null) {
            XYChart loss = chart("digits: training loss", "step", "cross-entropy, nats, mean of some steps");
            overSteps(loss, demo.digits(), run -> run.trace().losses(), false);
            loss.getStyler().setYAxisLogarithmic(true);
            charts.add(loss);
            XYChart norm = chart("digits: gradient norm before clipping", "step", "L2 norm, largest of some steps");
            overSteps(norm, demo.digits(), run -> run.trace().norms(), true);
            thresholds(norm, demo.digits());
            norm.getStyler().setYAxisLogarithmic(true);
            charts.add(norm);
        }
        if (demo.temporalOrder() != null) charts.add(success(demo.temporalOrder()));
        return charts;
    }

    private static void overSteps(
            XYChart chart, DigitsResult digits, Function<DigitsResult.Run, double[]> of, boolean largest) {
        for (DigitsResult.Run run : digits.runs()) {
            double[] values = of.apply(run);
            List<Double> x = new ArrayList<>();
            List<Double> y = new ArrayList<>();
            int width = Math.max(1, values.length / POINTS);
            for (int from = 0; from + width <= values.length; from += width) {
                double sum = 0;
                double most = SMALLEST;
                for (int i = from; i < from + width; i++) {
                    sum += values[i];
                    most = Math.max(most, values[i]);
                }
                double shown = largest ? most : Math.max(SMALLEST, sum / width);
                // What is not finite has no place on an axis: the curve ends there.
                if (!Double.isFinite(shown)) continue;
                x.add((double) from + width);
                y.add(shown);
            }
            if (!x.isEmpty()) {
                Color colour = RUNS.get(digits.runs().indexOf(run) % RUNS.size());
                style(chart.addSeries(run.clipping().name(), x, y), colour);
            }
        }
        int steps = digits.runs().stream()
                .mapToInt(run -> run.trace().steps())
                .max()
                .orElse(1);
        chart.getStyler().setXAxisMin(0.0);
        chart.getStyler().setXAxisMax((double) steps);
        chart.getStyler().setXAxisTickMarkSpacingHint(80);
    }

    /** Draws the threshold of the first run that has one, and a mark where at least one of the steps was clipped. */
    private static void thresholds(XYChart chart, DigitsResult digits) {
        for (DigitsResult.Run run : digits.runs()) {
            if (!(run.clipping().rule() instanceof NormRule rule)) continue;
            Trace trace = run.trace();
            List<Double> x = new ArrayList<>();
            List<Double> y = new ArrayList<>();
            double[] norms = trace.norms();
            int width = Math.max(1, norms.length / POINTS);
            for (int from = 0; from + width <= norms.length; from += width) {
                double most = 0;
                boolean clipped = false;
                for (int i = from; i < from + width; i++) {
                    most = Math.max(most, norms[i]);
                    clipped |= trace.clipped(i);
                }
                if (!clipped || !Double.isFinite(most)) continue;
                x.add((double) from + width);
                y.add(most);
            }
            XYSeries limit =
                    chart.addSeries("threshold", List.of(0.0, (double) norms.length), List.of(rule.max(), rule.max()));
            style(limit, NORM)
                    .setLineStyle(new BasicStroke(
                            1.5f, BasicStroke.CAP_BUTT, BasicStroke.JOIN_MITER, 10, new float[] {7, 4}, 0));
            if (x.isEmpty()) break;
            XYSeries marks = chart.addSeries("clipped", x, y);
            style(marks, NORM).setXYSeriesRenderStyle(XYSeries.XYSeriesRenderStyle.Scatter);
            marks.setMarker(SeriesMarkers.TRIANGLE_UP);
            break;
        }
        chart.getStyler().setMarkerSize(6);
    }

    private static XYChart success(TemporalResult result) {
        int runs =
                result.runs(result.clippings().get(0), result.lengths().get(0)).size();
        XYChart chart = chart(
                "temporal order: runs that solved it",
                "length of the sequence",
                "solved, % of " + runs + "; bars: 95 % intervals");
        List<Clipping> ways = result.clippings();
        for (int way = 0; way < ways.size(); way++) {
            Clipping clipping = ways.get(way);
            Color colour = clipping.rule() == null ? NONE : NORM;
            // Else one hides the other where both have solved as many.
            double shift = APART * (way - (ways.size() - 1) / 2.0);
            List<Double> x = new ArrayList<>();
            List<Double> y = new ArrayList<>();
            for (int length : result.lengths()) {
                double solved = result.successRate(clipping, length);
                x.add(length + shift);
                y.add(100 * solved);
                double[] interval =
                        interval(solved, result.runs(clipping, length).size());
                XYSeries bar = chart.addSeries(
                        clipping.name() + ", interval at " + length,
                        List.of(length + shift, length + shift),
                        List.of(100 * interval[0], 100 * interval[1]));
                style(bar, colour).setShowInLegend(false);
            }
            style(chart.addSeries(clipping.name(), x, y), colour).setMarker(SeriesMarkers.CIRCLE);
        }
        chart.getStyler().setYAxisMin(0.0);
        chart.getStyler().setYAxisMax(105.0);
        return chart;
    }

    /**
     * Returns the ends of Wilson's 95 % interval for the rate behind a share of some runs, which stays between 0 and 1,
     * also where none or all of few runs succeeded.
     */
    static double[] interval(double share, int runs) {
        double z2 = NORMAL_95 * NORMAL_95;
        double middle = (share + z2 / (2 * runs)) / (1 + z2 / runs);
        double half = NORMAL_95 / (1 + z2 / runs) * Math.sqrt(share * (1 - share) / runs + z2 / (4.0 * runs * runs));
        return new double[] {Math.max(0, middle - half), Math.min(1, middle + half)};
    }

    private static XYSeries style(XYSeries series, Color colour) {
        series.setLineColor(colour);
        series.setMarkerColor(colour);
        series.setLineStyle(new BasicStroke(2));
        series.setMarker(SeriesMarkers.NONE);
        return series;
    }

    private static XYChart chart(String title, String x, String y) {
        XYChart chart = new XYChartBuilder()
                .width(630)
                .height(400)
                .title(title)
                .xAxisTitle(x)
                .yAxisTitle(y)
                .build();
        Png.style(chart.getStyler());
        // The names of all runs in one line.
        chart.getStyler().setLegendFont(chart.getStyler().getBaseFont().deriveFont(11f));
        chart.getStyler().setLegendSeriesLineLength(16);
        return chart;
    }
}
