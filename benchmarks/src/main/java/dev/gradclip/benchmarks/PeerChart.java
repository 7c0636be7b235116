// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import dev.gradclip.measure.Png;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.knowm.xchart.CategoryChart;
import org.knowm.xchart.CategoryChartBuilder;

/** Bars of how many times as long as this library each contender takes for a clip that bites, where all were timed. */
final class PeerChart {
    private static final int WIDTH = 1000;
    private static final int HEIGHT = 500;
    private static final double HIGHEST = 20;

    private PeerChart() {}

    /** Writes a PNG; without fonts it says so. */
    static void write(List<DuelSample> samples, Path file) throws IOException {
        byte[] png = Png.bytes(() -> chart(samples));
        if (png == null) System.err.println("no chart: " + Png.REMEDY);
        else Files.write(file, png);
    }

    private static CategoryChart chart(List<DuelSample> samples) {
        Set<String> workloads = new LinkedHashSet<>();
        Map<String, Map<String, Double>> ratios = new LinkedHashMap<>();
        // A peer's own process: the samples of this library before it are its.
        List<DuelSample> process = List.of();
        for (DuelSample sample : samples) {
            if (!sample.what().equals(DuelCase.BITES.toString())) continue;
            if (sample.contender().equals(PeerTable.OURS)) process = List.of(sample);
            workloads.add(sample.workload());
            ratios.computeIfAbsent(sample.contender(), key -> new LinkedHashMap<>())
                    .putIfAbsent(sample.workload(), PeerTable.ratio(sample, process));
        }
        CategoryChart chart = new CategoryChartBuilder()
                .width(WIDTH)
                .height(HEIGHT)
                .title("A clip that bites: times as long as " + PeerTable.OURS)
                .yAxisTitle("times as long")
                .build();
        Png.style(chart.getStyler());
        // Bars on a logarithmic axis fail; the slowest bars are cut off.
        chart.getStyler().setYAxisMin(0.0);
        chart.getStyler().setYAxisMax(HIGHEST);
        workloads.removeIf(workload -> ratios.values().stream().anyMatch(found -> !found.containsKey(workload)));
        List<String> names = List.copyOf(workloads);
        if (names.isEmpty()) throw new IllegalStateException("no workload was timed for every contender");
        ratios.forEach((contender, found) ->
                chart.addSeries(contender, names, names.stream().map(found::get).toList()));
        return chart;
    }
}
