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

    /** The colours without clipping, by value and by norm differ in lightness too. */
    private static final Color NONE = new Color(0xD1495B);

    private static final Color VALUE = new Color(0xEDAE49);
    private static final Color NORM = new Color(0x00798C);

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
            if (!x.isEmpty()) style(chart.addSeries(run.clipping().name(), x, y), run.clipping());
        }
        int steps = digits.runs().stream()
                .mapToInt(run -> run.trace().steps())
                .max()
                .orElse(1);
        chart.getStyler().setXAxisMin(0.0);
        chart.getStyler().setXAxisMax((double) steps);
        chart.getStyler().setXAxisTickMarkSpacingHint(80);
    }

    /** Draws the threshold of each run that has one, and a mark where at least one of the steps was clipped. */
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
            style(limit, run.clipping())
                    .setLineStyle(new BasicStroke(
                            1.5f, BasicStroke.CAP_BUTT, BasicStroke.JOIN_MITER, 10, new float[] {7, 4}, 0));
            if (x.isEmpty()) continue;
            XYSeries marks = chart.addSeries("clipped", x, y);
            style(marks, run.clipping()).setXYSeriesRenderStyle(XYSeries.XYSeriesRenderStyle.Scatter);
            marks.setMarker(SeriesMarkers.TRIANGLE_UP);
        }
        chart.getStyler().setMarkerSize(6);
    }

    private static XYChart success(TemporalResult result) {
        XYChart chart = chart("temporal order: runs that solved it", "length of the sequence", "success rate, %");
        for (Clipping clipping : result.clippings()) {
            List<Double> y = new ArrayList<>();
            for (int length : result.lengths()) y.add(100 * result.successRate(clipping, length));
            style(chart.addSeries(clipping.name(), result.lengths(), y), clipping)
                    .setMarker(SeriesMarkers.CIRCLE);
        }
        chart.getStyler().setYAxisMin(0.0);
        chart.getStyler().setYAxisMax(105.0);
        return chart;
    }

    private static XYSeries style(XYSeries series, Clipping clipping) {
        Color colour = clipping.rule() == null ? NONE : clipping.name().startsWith("value") ? VALUE : NORM;
        series.setLineColor(colour);
        series.setMarkerColor(colour);
        series.setLineStyle(new BasicStroke(2));
        series.setMarker(SeriesMarkers.NONE);
        return series;
    }

    private static XYChart chart(String title, String x, String y) {
        XYChart chart = new XYChartBuilder()
                .width(530)
                .height(400)
                .title(title)
                .xAxisTitle(x)
                .yAxisTitle(y)
                .build();
        Png.style(chart.getStyler());
        return chart;
    }
}
