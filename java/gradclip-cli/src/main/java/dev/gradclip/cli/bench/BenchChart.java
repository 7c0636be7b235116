// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.bench;

import dev.gradclip.Backend;
import dev.gradclip.cli.shell.AtomicOutput;
import dev.gradclip.cli.shell.BackendOptions;
import dev.gradclip.cli.shell.OutputTarget;
import dev.gradclip.cli.shell.Printable;
import dev.gradclip.cli.shell.Terminal;
import dev.gradclip.measure.DotRows;
import dev.gradclip.measure.Png;
import dev.gradclip.measure.Shape;
import java.awt.Color;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.style.markers.Marker;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** Draws the rates of calls: a chart for each size, a row for each case, a dot for each backend and the limit. */
final class BenchChart {
    private static final int COLUMNS = 2;
    private static final int ROW_HEIGHT = 56;

    /** The part of a row that backends are apart. */
    private static final double APART = 0.3;

    /** What the text right of the largest number needs, as a factor on a logarithmic axis. */
    private static final double ROOM = 2.5;

    private static final Color LIMIT = new Color(0x6B7280);

    private BenchChart() {}

    /** Writes the file; where the JVM has no fonts it says what to do and goes on. */
    static void write(BenchReport bench, OutputTarget target, Terminal terminal) throws IOException {
        byte[] png = Png.inColumns(() -> charts(bench), COLUMNS);
        if (png == null) {
            terminal.err()
                    .println("gradclip: " + Printable.escaped(target.path().toString()) + " is not written: "
                            + Png.REMEDY);
            return;
        }
        AtomicOutput.write(target, png);
    }

    /** All with one axis, so that sizes can be compared. */
    private static List<XYChart> charts(BenchReport bench) {
        double least = Double.MAX_VALUE;
        double most = Double.MIN_NORMAL;
        Map<Shape, List<BenchRow>> byShape = new LinkedHashMap<>();
        for (BenchRow row : bench.rows()) {
            byShape.computeIfAbsent(row.shape(), key -> new ArrayList<>()).add(row);
            least = Math.min(least, rate(row, row.times().high()));
            most = Math.max(most, rate(row, row.times().low()));
            if (row.hasLimit()) {
                least = Math.min(least, rate(row, row.limit()));
                most = Math.max(most, rate(row, row.limit()));
            }
        }
        List<XYChart> charts = new ArrayList<>();
        for (Map.Entry<Shape, List<BenchRow>> shape : byShape.entrySet()) {
            charts.add(chart(shape.getKey(), shape.getValue(), least * 0.9, most * ROOM));
        }
        return charts;
    }

    private static XYChart chart(Shape shape, List<BenchRow> measured, double from, double to) {
        List<String> cases =
                measured.stream().map(row -> row.what().title()).distinct().toList();
        List<Backend> backends =
                measured.stream().map(BenchRow::backend).distinct().toList();
        DotRows rows = new DotRows(
                shape.label() + " " + shape.type(),
                "GB/s that a call must move; lines: 10 % to 90 % of calls",
                cases,
                ROW_HEIGHT,
                from,
                to);
        Map<Integer, DotRows.Dot> limits = new LinkedHashMap<>();
        for (int i = 0; i < backends.size(); i++) {
            List<DotRows.Dot> dots = new ArrayList<>();
            for (BenchRow row : measured) {
                int at = cases.indexOf(row.what().title());
                if (row.hasLimit()) limits.putIfAbsent(at, limit(at, rate(row, row.limit())));
                if (row.backend() != backends.get(i)) continue;
                double rate = row.gigabytesPerSecond();
                dots.add(new DotRows.Dot(
                        at,
                        rate,
                        rate(row, row.times().high()),
                        rate(row, row.times().low()),
                        text(rate)));
            }
            double shift = (backends.size() - 1) / 2.0 - i;
            Backend backend = backends.get(i);
            rows.dots(BackendOptions.name(backend), colour(backend), marker(backend), shift * APART, dots);
        }
        rows.dots("this machine's limit", LIMIT, SeriesMarkers.CROSS, 0, List.copyOf(limits.values()));
        return rows.chart();
    }

    /** Its number would stand in the way of the others'. */
    private static DotRows.Dot limit(int row, double rate) {
        return new DotRows.Dot(row, rate, rate, rate, "");
    }

    private static double rate(BenchRow row, double micros) {
        return row.moved() / micros / 1e3;
    }

    private static String text(double rate) {
        return String.format(Locale.ROOT, rate < 10 ? "%.1f" : "%.0f", rate);
    }

    /** They differ in lightness and in their marks, too. */
    private static Color colour(Backend backend) {
        return switch (backend) {
            case JAVA -> new Color(0xC9862B);
            case NATIVE -> new Color(0x00798C);
            case CUDA -> new Color(0x5B2A86);
        };
    }

    private static Marker marker(Backend backend) {
        return switch (backend) {
            case JAVA -> SeriesMarkers.SQUARE;
            case NATIVE -> SeriesMarkers.CIRCLE;
            case CUDA -> SeriesMarkers.TRIANGLE_UP;
        };
    }
}
