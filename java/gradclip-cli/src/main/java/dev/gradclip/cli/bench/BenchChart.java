// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.bench;

import dev.gradclip.Backend;
import dev.gradclip.cli.shell.AtomicOutput;
import dev.gradclip.cli.shell.BackendOptions;
import dev.gradclip.cli.shell.Numbers;
import dev.gradclip.cli.shell.OutputTarget;
import dev.gradclip.cli.shell.Printable;
import dev.gradclip.cli.shell.Terminal;
import dev.gradclip.cli.shell.Version;
import dev.gradclip.measure.Png;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import org.knowm.xchart.CategoryChart;
import org.knowm.xchart.CategoryChartBuilder;
import org.knowm.xchart.CategorySeries;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** Draws effective rates as bars, by case and backend, and the machine's limit as a mark above each. */
final class BenchChart {
    private BenchChart() {}

    /** Writes the file; where the JVM has no fonts it says what to do and goes on. */
    static void write(BenchReport bench, OutputTarget target, Terminal terminal) throws IOException {
        byte[] png = Png.bytes(() -> chart(bench));
        if (png == null) {
            terminal.err()
                    .println("gradclip: " + Printable.escaped(target.path().toString()) + " is not written: "
                            + Png.REMEDY);
            return;
        }
        AtomicOutput.write(target, png);
    }

    private static CategoryChart chart(BenchReport bench) {
        CategoryChart chart = new CategoryChartBuilder()
                .width(1000)
                .height(640)
                .title("gradclip " + Version.number() + ", " + Numbers.count(bench.threads(), "thread"))
                .yAxisTitle("GB/s that a call must move")
                .build();
        Png.style(chart.getStyler());
        chart.getStyler().setXAxisLabelRotation(60);
        chart.getStyler().setYAxisMin(0.0);
        chart.getStyler().setAvailableSpaceFill(0.8);
        Set<String> labels = new LinkedHashSet<>();
        for (BenchRow row : bench.rows()) labels.add(label(row));
        List<String> names = List.copyOf(labels);
        chart.getStyler().setXAxisMaxLabelCount(names.size());
        Set<Backend> backends = new LinkedHashSet<>();
        for (BenchRow row : bench.rows()) backends.add(row.backend());
        for (Backend backend : backends) {
            List<Double> rates = new ArrayList<>();
            for (BenchRow row : bench.rows()) if (row.backend() == backend) rates.add(row.gigabytesPerSecond());
            chart.addSeries(BackendOptions.name(backend), names, rates);
        }
        limit(chart, bench, names);
        return chart;
    }

    private static void limit(CategoryChart chart, BenchReport bench, List<String> names) {
        List<Double> rates = new ArrayList<>();
        for (String name : names) {
            for (BenchRow row : bench.rows()) {
                if (!label(row).equals(name) || !row.hasLimit()) continue;
                rates.add(row.moved() / row.limit() / 1e3);
                break;
            }
        }
        if (rates.size() != names.size()) return;
        CategorySeries limit = chart.addSeries("this machine's limit", names, rates);
        limit.setChartCategorySeriesRenderStyle(CategorySeries.CategorySeriesRenderStyle.Scatter);
        limit.setMarker(SeriesMarkers.DIAMOND);
    }

    private static String label(BenchRow row) {
        return row.shape().label() + " " + row.shape().type() + ", "
                + row.what().title();
    }
}
