// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import dev.gradclip.cli.measure.Png;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.knowm.xchart.CategoryChart;
import org.knowm.xchart.CategoryChartBuilder;

/** Bars of how many times as long as this library each contender takes for a clip that bites. */
final class PeerChart {
    private static final int WIDTH = 1000;
    private static final int HEIGHT = 500;

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
        List<DuelSample> process = new ArrayList<>();
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
                .yAxisTitle("times as long (logarithmic)")
                .build();
        Png.style(chart.getStyler());
        chart.getStyler().setYAxisLogarithmic(true);
        List<String> names = List.copyOf(workloads);
        ratios.forEach((contender, found) -> chart.addSeries(contender, names, values(names, found)));
        return chart;
    }

    private static List<@Nullable Double> values(List<String> workloads, Map<String, Double> found) {
        List<@Nullable Double> values = new ArrayList<>();
        for (String workload : workloads) values.add(found.get(workload));
        return values;
    }
}
