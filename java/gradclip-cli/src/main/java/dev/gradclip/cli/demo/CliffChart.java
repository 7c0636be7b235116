// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.demo;

import dev.gradclip.cli.shell.AtomicOutput;
import dev.gradclip.cli.shell.Numbers;
import dev.gradclip.cli.shell.OutputTarget;
import dev.gradclip.cli.shell.Printable;
import dev.gradclip.cli.shell.Terminal;
import dev.gradclip.demo.Cliff;
import dev.gradclip.measure.Png;
import java.awt.BasicStroke;
import java.awt.Color;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** Draws the loss surface of {@link Cliff} with both ways over it, and says where they lead. */
final class CliffChart {
    private static final double LEAST_W = 4.7;
    private static final double MOST_W = 5.7;
    private static final double LEAST_B = -2.95;
    private static final double MOST_B = -2.35;
    private static final int COLUMNS = 90;
    private static final int ROWS = 64;

    /** The losses from which on the surface has the next shade. */
    private static final double[] LEVELS = {0, 0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.1, 0.2, 0.35, 0.37, 0.39};

    private static final Color UNCLIPPED = new Color(0xD1495B);
    private static final Color CLIPPED = new Color(0x00526B);

    private CliffChart() {}

    static void write(OutputTarget target, Terminal terminal) throws IOException {
        List<Cliff.Point> unclipped = Cliff.unclipped();
        List<Cliff.Point> clipped = Cliff.clipped();
        say(terminal, "unclipped", unclipped);
        say(terminal, "norm " + Numbers.typed(Cliff.MAX_NORM), clipped);
        byte[] png = Png.bytes(() -> chart(unclipped, clipped));
        String name = Printable.escaped(target.path().toString());
        if (png == null) terminal.err().println("gradclip: " + name + " is not written: " + Png.REMEDY);
        else {
            AtomicOutput.write(target, png);
            terminal.out().println("written: " + name);
        }
    }

    private static void say(Terminal terminal, String name, List<Cliff.Point> path) {
        int wall = wall(path);
        Cliff.Point at = path.get(wall);
        Cliff.Point next = path.get(Math.min(wall + 1, path.size() - 1));
        Cliff.Point last = path.get(path.size() - 1);
        terminal.out()
                .println(name + ": at the wall (w " + Numbers.brief(at.w()) + ", b " + Numbers.brief(at.b())
                        + ") the norm is " + Numbers.brief(at.norm()) + "; the step leads to w "
                        + Numbers.brief(next.w()) + ", b " + Numbers.brief(next.b()) + "; loss in the end "
                        + Numbers.brief(last.loss()));
    }

    /** Returns the step with the largest gradient. */
    private static int wall(List<Cliff.Point> path) {
        int largest = 0;
        for (int i = 1; i < path.size(); i++)
            if (path.get(i).norm() > path.get(largest).norm()) largest = i;
        return largest;
    }

    private static XYChart chart(List<Cliff.Point> unclipped, List<Cliff.Point> clipped) {
        XYChart chart = new XYChartBuilder()
                .width(760)
                .height(560)
                .title("a step at a wall of the loss, unclipped and clipped")
                .xAxisTitle("w")
                .yAxisTitle("b")
                .build();
        Png.style(chart.getStyler());
        chart.getStyler().setXAxisMin(LEAST_W);
        chart.getStyler().setXAxisMax(MOST_W);
        chart.getStyler().setYAxisMin(LEAST_B);
        chart.getStyler().setYAxisMax(MOST_B);
        chart.getStyler().setPlotContentSize(1.0);
        chart.getStyler().setMarkerSize(10);
        chart.getStyler().setPlotGridLinesVisible(false);
        surface(chart);
        path(
                chart,
                "unclipped: a norm of "
                        + Numbers.brief(unclipped.get(wall(unclipped)).norm()),
                unclipped,
                UNCLIPPED,
                6);
        path(chart, "norm clipped to " + Numbers.typed(Cliff.MAX_NORM), clipped, CLIPPED, 2);
        return chart;
    }

    /** Covers the plot with squares, light where the loss is small. */
    private static void surface(XYChart chart) {
        for (int level = 0; level < LEVELS.length; level++) {
            double from = LEVELS[level];
            double to = level + 1 < LEVELS.length ? LEVELS[level + 1] : Double.POSITIVE_INFINITY;
            List<Double> x = new ArrayList<>();
            List<Double> y = new ArrayList<>();
            for (int i = 0; i <= COLUMNS; i++) {
                for (int j = 0; j <= ROWS; j++) {
                    double w = LEAST_W + (MOST_W - LEAST_W) * i / COLUMNS;
                    double b = LEAST_B + (MOST_B - LEAST_B) * j / ROWS;
                    double loss = Cliff.loss(w, b);
                    if (!(loss >= from && loss < to)) continue;
                    x.add(w);
                    y.add(b);
                }
            }
            if (x.isEmpty()) continue;
            XYSeries series = chart.addSeries(
                    "loss " + Numbers.typed(from)
                            + (level + 1 < LEVELS.length ? " to " + Numbers.typed(to) : " and more"),
                    x,
                    y);
            series.setXYSeriesRenderStyle(XYSeries.XYSeriesRenderStyle.Scatter);
            series.setMarker(SeriesMarkers.SQUARE);
            int shade = 250 - 12 * level;
            series.setMarkerColor(new Color(shade, shade, Math.min(255, shade + 6)));
            // Two samples are enough to tell which shade is high.
            series.setShowInLegend(level == 0 || level == LEVELS.length - 1);
        }
    }

    /** Draws an arrow for each step, up to the edge of the plot; a wide way shows beneath a narrow one. */
    private static void path(XYChart chart, String name, List<Cliff.Point> path, Color colour, int width) {
        List<Double> x = new ArrayList<>();
        List<Double> y = new ArrayList<>();
        x.add(path.get(0).w());
        y.add(path.get(0).b());
        for (int i = 1; i < path.size(); i++) {
            double w = path.get(i - 1).w();
            double b = path.get(i - 1).b();
            double dw = path.get(i).w() - w;
            double db = path.get(i).b() - b;
            double part = Math.min(1, Math.min(reach(w, dw, LEAST_W, MOST_W), reach(b, db, LEAST_B, MOST_B)));
            arrow(x, y, w + part * dw, b + part * db, dw, db);
            if (part < 1) break;
        }
        XYSeries series = chart.addSeries(name, x, y);
        series.setLineColor(colour);
        series.setLineStyle(new BasicStroke(width));
        series.setMarker(SeriesMarkers.NONE);
    }

    /** Returns which part of a way leads to the edge. */
    private static double reach(double at, double way, double least, double most) {
        return way == 0 ? Double.POSITIVE_INFINITY : ((way > 0 ? most : least) - at) / way;
    }

    /** Adds a line to a point, and the arrow's two strokes there. */
    private static void arrow(List<Double> x, List<Double> y, double w, double b, double dw, double db) {
        // In units of the plot, so that both strokes look equally long.
        double length = Math.hypot(dw / (MOST_W - LEAST_W), db / (MOST_B - LEAST_B));
        double ux = length == 0 ? 0 : dw / (MOST_W - LEAST_W) / length;
        double uy = length == 0 ? 0 : db / (MOST_B - LEAST_B) / length;
        double size = 0.018;
        x.add(w);
        y.add(b);
        for (int side = -1; side <= 1; side += 2) {
            x.add(w - size * (ux + side * 0.5 * uy) * (MOST_W - LEAST_W));
            y.add(b - size * (uy - side * 0.5 * ux) * (MOST_B - LEAST_B));
            x.add(w);
            y.add(b);
        }
    }
}
