// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import dev.gradclip.DType;
import dev.gradclip.measure.Shapes;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Six figures in less than a minute: five ratios to LibTorch, and the share of the machine's limit. */
final class QuickReport {
    private static final String PEER = "libtorch";
    private static final String LARGE = "1x16777216";
    private static final String SMALL = "500x1024";
    private static final Pattern STEP =
            Pattern.compile("\\| bites \\| gradclip NATIVE \\|.*\\| ([0-9.]+) \\| [0-9.]+ % \\|");
    private static final Pattern UPDATE = Pattern.compile("(?m)^update ([0-9.]+)$");

    private final Peers peers;
    private final String rates;
    private final Path judge;
    private final int threads;

    QuickReport(Peers peers, String rates, Path judge, int threads) {
        this.peers = peers;
        this.rates = rates;
        this.judge = judge;
        this.threads = threads;
    }

    /** Prints a table, and the figures as the last line. */
    List<DuelSample> print(PrintStream out) throws IOException, InterruptedException {
        if (!peers.built().contains(PEER)) throw new IOException("LibTorch is not built; run benchmarks/run");
        long bytes = Shapes.named(LARGE, DType.FLOAT32, Long.MAX_VALUE).bytes();
        Rates before = Rates.measure(rates, threads, bytes);
        List<DuelSample> samples =
                new ArrayList<>(peers.duel(PEER, LARGE, "f32", "native", "bites,does not,clamp", 4, 1));
        Rates limit = before.faster(Rates.measure(rates, threads, bytes));
        samples.addAll(peers.duel(PEER, SMALL, "f32", "native", "bites", 2, 1));
        samples.addAll(peers.duel(PEER, SMALL, "f32", "native", "bites", 2, PeerTable.AGAIN));
        out.println("| tensors | case | contender | µs (10 % to 90 %) | calls | times ours |");
        out.println("|---|---|---|---|---|---|");
        for (DuelSample sample : samples) {
            out.printf(
                    Locale.ROOT,
                    "| %s | %s | %s | %.1f (%.1f to %.1f) | %.0f | %.2f |%n",
                    sample.workload(),
                    sample.what(),
                    sample.contender(),
                    sample.micros(),
                    sample.low(),
                    sample.high(),
                    sample.calls(),
                    PeerTable.ratio(sample, samples));
        }
        out.printf(Locale.ROOT, "%nPlain C reads in %.1f and scales in %.1f µs.%n", limit.read(), limit.scale());
        double step = judged(out, STEP, "--steps=7", "--warmup=3", "--beside=native", "--cases=bites");
        double update = judged(out, UPDATE, "--steps=5", "--warmup=8", "--updates", "--loss-steps=0");
        out.printf(
                Locale.ROOT,
                "quick: bites %.2f nobite %.2f small %.2f clamp %.2f limit %.2f step %.2f update %.2f%n",
                peerRatio(samples, LARGE, DuelCase.BITES.toString()),
                peerRatio(samples, LARGE, DuelCase.DOES_NOT_BITE.toString()),
                peerRatio(samples, SMALL, DuelCase.BITES + Duel.AGAIN),
                peerRatio(samples, LARGE, DuelCase.CLAMP.toString()),
                (limit.read() + limit.scale())
                        / find(samples, LARGE, DuelCase.BITES.toString(), true).micros(),
                step,
                update);
        return samples;
    }

    private static double peerRatio(List<DuelSample> samples, String workload, String what) {
        return PeerTable.ratio(find(samples, workload, what, false), samples);
    }

    private static DuelSample find(List<DuelSample> samples, String workload, String what, boolean ours) {
        for (DuelSample sample : samples) {
            boolean isOurs = sample.contender().equals(PeerTable.OURS);
            if (isOurs == ours
                    && sample.workload().equals(workload)
                    && sample.what().equals(what)) {
                return sample;
            }
        }
        throw new IllegalStateException("nothing was timed for " + workload + ", " + what);
    }

    /**
     * A ratio that the training-step program prints: how many times the time of gradclip LibTorch takes, for a clip
     * that scales, or for a clip and an update by AdamW.
     */
    private double judged(PrintStream out, Pattern ratio, String... options) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(
                List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-jar", judge.toString()));
        command.addAll(List.of(options));
        Process process = new ProcessBuilder(command)
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        String tables = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        if (process.waitFor() != 0) throw new IOException("the judge failed: " + String.join(" ", command));
        out.println(tables);
        Matcher found = ratio.matcher(tables);
        if (!found.find()) throw new IOException("the judge printed nothing like " + ratio);
        return Double.parseDouble(found.group(1));
    }
}
