// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.demo;

import dev.gradclip.NormRule;
import dev.gradclip.cli.shell.AtomicOutput;
import dev.gradclip.cli.shell.Numbers;
import dev.gradclip.cli.shell.OutputTarget;
import dev.gradclip.cli.shell.Printable;
import dev.gradclip.cli.shell.Progress;
import dev.gradclip.cli.shell.Table;
import dev.gradclip.cli.shell.Terminal;
import dev.gradclip.demo.Thresholds;
import dev.gradclip.measure.Png;
import java.awt.BasicStroke;
import java.awt.Color;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.style.Styler;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** Draws what thresholds rules find over one run of norms, and tells how well the digits train by them. */
final class ThresholdChart {
    private static final int COLUMNS = 2;

    /** The axis of norms, the same in each chart. */
    private static final double LEAST = 1e-4;

    private static final double MOST = 1000;

    private static final Color NORM = new Color(0xB4B8BD);
    private static final Color GRID = new Color(0xEDEFF1);
    private static final Color THRESHOLD = new Color(0xC2410C);

    private ThresholdChart() {}

    static void write(OutputTarget target, Thresholds thresholds, Terminal terminal) throws IOException {
        double[] norms = thresholds.norms();
        List<Thresholds.Row> rows;
        try (Progress progress = Progress.ofWork(terminal, "thresholds", Thresholds.trainings())) {
            rows = thresholds.rows(progress::advance);
        }
        print(thresholds.steps(), rows, terminal);
        byte[] png = Png.inColumns(() -> charts(norms), COLUMNS);
        String name = Printable.escaped(target.path().toString());
        if (png == null) {
            terminal.err().println("gradclip: " + name + " is not written: " + Png.REMEDY);
            return;
        }
        AtomicOutput.write(target, png);
        terminal.out().println("written: " + name);
    }

    private static void print(int steps, List<Thresholds.Row> rows, Terminal terminal) {
        terminal.out()
                .println("digits: an LSTM reads images row by row; plain SGD, "
                        + Numbers.count(steps, "step") + "; test accuracy, mean of " + Thresholds.RUNS
                        + " runs, by learning rate");
        terminal.out().println("with faults: each 150th gradient is 1,000 times too large");
        List<String> header = new ArrayList<>(List.of("clipping"));
        for (Thresholds.Setting setting : Thresholds.settings()) header.add(setting.name());
        Table table = new Table(1, header.toArray(String[]::new));
        for (Thresholds.Row row : rows) {
            List<String> cells = new ArrayList<>(List.of(row.clipping().name()));
            for (double accuracy : row.accuracies()) cells.add(Numbers.fixed(100 * accuracy, 1) + " %");
            table.add(cells);
        }
        table.print(terminal);
        terminal.out().println();
    }

    private static List<XYChart> charts(double[] norms) {
        List<XYChart> charts = new ArrayList<>();
        for (NormRule rule : Thresholds.remembering()) {
            XYChart chart = chart(rule.name(), norms, Thresholds.over(norms, rule));
            // One row of legends is enough.
            chart.getStyler().setLegendVisible(charts.size() < COLUMNS);
            charts.add(chart);
        }
        return charts;
    }

    private static XYChart chart(String name, double[] norms, double[] thresholds) {
        XYChart chart = new XYChartBuilder()
                .width(560)
                .height(230)
                .title(name)
                .xAxisTitle("step")
                .yAxisTitle("L2 norm")
                .build();
        Png.style(chart.getStyler());
        chart.getStyler().setYAxisLogarithmic(true);
        chart.getStyler().setYAxisMin(LEAST);
        chart.getStyler().setYAxisMax(MOST);
        chart.getStyler().setXAxisMin(0.0);
        // Between two steps: else all values are equally spaced, and XChart puts ticks on some of them.
        chart.getStyler().setXAxisMax(norms.length + 0.5);
        chart.getStyler().setXAxisTickMarkSpacingHint(80);
        chart.getStyler().setLegendPosition(Styler.LegendPosition.InsideSW);
        chart.getStyler().setPlotGridLinesColor(GRID);
        chart.getStyler().setPlotGridVerticalLinesVisible(false);
        add(chart, "norm", norms, NORM, 1);
        add(chart, "threshold", thresholds, THRESHOLD, 2);
        return chart;
    }

    /** Draws what lies on the axis; nothing where there is no threshold. */
    private static void add(XYChart chart, String name, double[] values, Color colour, int width) {
        List<Double> x = new ArrayList<>();
        List<Double> y = new ArrayList<>();
        for (int step = 0; step < values.length; step++) {
            if (values[step] == Double.POSITIVE_INFINITY) continue;
            x.add((double) step);
            y.add(Math.max(LEAST, Math.min(MOST, values[step])));
        }
        if (x.isEmpty()) return;
        XYSeries series = chart.addSeries(name, x, y);
        series.setLineColor(colour);
        series.setLineStyle(new BasicStroke(width));
        series.setMarker(SeriesMarkers.NONE);
    }
}
