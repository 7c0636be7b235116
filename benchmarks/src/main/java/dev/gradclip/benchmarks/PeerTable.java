// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import java.io.IOException;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/**
 * A row for each workload and case: how many times as long as this library each contender took, in the same process.
 */
final class PeerTable {
    static final List<String> WORKLOADS = List.of(
            "1x16384",
            "1x1048576",
            "1x16777216",
            "1x67108864",
            "500x1024",
            "1000x4",
            "resnet50",
            "gpt2",
            "llama8b",
            "nemo-mixed");

    /** Small enough that it matters whether a call finds them in the caches. */
    private static final List<String> IN_CACHES = List.of("1x16384", "1x1048576", "500x1024", "1000x4");

    static final int AGAIN = 100;
    static final String OURS = "gradclip NATIVE";
    private static final String CASES = "norm,bites,does not,clamp";
    private static final String PER_TENSOR = "per tensor";

    private final Peers peers;
    private final List<String> workloads;
    private final String dtype;
    private final List<DuelSample> samples = new ArrayList<>();

    PeerTable(Peers peers, List<String> workloads, String dtype) {
        this.peers = peers;
        this.workloads = workloads;
        this.dtype = dtype;
    }

    /** All that was timed. */
    List<DuelSample> samples() {
        return samples;
    }

    void print(PrintStream out, double seconds) throws IOException, InterruptedException {
        List<String> built = peers.built();
        if (built.isEmpty()) {
            out.println("No peers are built: mvn -Ppeers package builds them.");
            return;
        }
        Map<String, Map<String, String>> rows = new LinkedHashMap<>();
        Set<String> columns = new LinkedHashSet<>();
        for (String workload : workloads) {
            for (int i = 0; i < built.size(); i++) {
                System.err.println(workload + " " + built.get(i));
                // Its own other forms once.
                String own = i == 0 ? "native,heap,java,loop" : "native";
                List<DuelSample> found =
                        new ArrayList<>(peers.duel(built.get(i), workload, dtype, own, CASES, seconds, 1));
                if (IN_CACHES.contains(workload)) {
                    found.addAll(peers.duel(built.get(i), workload, dtype, own, CASES, seconds, AGAIN));
                }
                // One tensor's own norm is the norm of all.
                if (!workload.startsWith("1x")) {
                    found.addAll(peers.duel(built.get(i), workload, dtype, own, PER_TENSOR, seconds, 1));
                }
                samples.addAll(found);
                for (DuelSample sample : found) cell(rows, columns, sample, found);
            }
        }
        out.println("| workload | type | case | " + String.join(" | ", columns) + " |");
        out.println("|---|---|---|" + "---|".repeat(columns.size()));
        rows.forEach((row, cells) -> {
            out.print("| " + row + " |");
            for (String column : columns) out.print(" " + cells.getOrDefault(column, "") + " |");
            out.println();
        });
    }

    private static void cell(
            Map<String, Map<String, String>> rows,
            Set<String> columns,
            DuelSample sample,
            List<DuelSample> sameProcess) {
        String name = sample.workload() + " | " + sample.dtype() + " | " + sample.what();
        Map<String, String> row = rows.computeIfAbsent(name, key -> new LinkedHashMap<>());
        boolean isOurs = sample.contender().equals(OURS);
        String column = isOurs ? OURS + ", µs" : sample.contender();
        columns.add(column);
        if (isOurs) {
            row.putIfAbsent(
                    column,
                    String.format(Locale.ROOT, "%.1f (%.1f to %.1f)", sample.micros(), sample.low(), sample.high()));
        } else {
            row.put(column, String.format(Locale.ROOT, "%.2f", ratio(sample, sameProcess)));
        }
    }

    /** The time of a contender as a multiple of this library's. */
    static double ratio(DuelSample sample, List<DuelSample> sameProcess) {
        for (DuelSample ours : sameProcess) {
            boolean same = ours.contender().equals(OURS)
                    && ours.what().equals(sample.what())
                    && ours.workload().equals(sample.workload())
                    && ours.dtype().equals(sample.dtype());
            if (same) return sample.micros() / ours.micros();
        }
        return Double.NaN;
    }
}
