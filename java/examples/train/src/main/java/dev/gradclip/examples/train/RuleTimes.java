// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.train;

import com.sun.management.ThreadMXBean;
import dev.gradclip.Backend;
import dev.gradclip.ClipResult;
import dev.gradclip.ClipRule;
import dev.gradclip.DynamicLossScaler;
import dev.gradclip.History;
import dev.gradclip.NormRule;
import dev.gradclip.javacpp.TorchClipper;
import dev.gradclip.javacpp.TorchClipperBuilder;
import java.io.PrintStream;
import java.lang.management.ManagementFactory;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import org.bytedeco.javacpp.PointerScope;

/**
 * Times what each clipping rule adds to a step: on gradients that a backward pass has just left, bound by units with
 * their weights.
 */
final class RuleTimes implements AutoCloseable {
    private static final ThreadMXBean MEMORY = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    /** The relative error that LibTorch's norm, added in float, may have. */
    private static final double LIBTORCH_PRECISION = 1e-3;

    private final Training training;
    private final TorchClipper clipper;

    RuleTimes(Training training, Backend backend, int ownThreads) {
        this.training = training;
        TorchClipperBuilder builder =
                TorchClipper.builder().add(training.model()).backend(backend).units();
        if (ownThreads > 0) builder.threads(ownThreads);
        clipper = builder.build();
    }

    /** Each rule, with numbers that bite. */
    static Map<String, ClipRule> rules(double norm) {
        Map<String, ClipRule> rules = new LinkedHashMap<>();
        rules.put("globalNorm", ClipRule.globalNorm(norm / 10));
        rules.put("globalNorm, unscaled", new DynamicLossScaler().unscaling(ClipRule.globalNorm(norm / 10 / 65536)));
        rules.put("normalize", ClipRule.normalize(1));
        rules.put("normalizeAbove", ClipRule.normalizeAbove(norm / 10, 1));
        rules.put("perTensorNorm", ClipRule.perTensorNorm(norm / 1000));
        rules.put("perRowNorm", ClipRule.perRowNorm(norm / 10_000));
        rules.put("averageNorm", ClipRule.averageNorm(1e-9));
        rules.put("blockRms", ClipRule.blockRms(1e-7));
        rules.put("adaptive", ClipRule.adaptive(1e-4));
        rules.put("value", ClipRule.value(1e-4));
        // The norms are alike from step to step, so that only the fixed limits clip.
        rules.put("autoClip", ClipRule.autoClip().withMaxNorm(norm / 10));
        rules.put("zClip", ClipRule.zClip().withMaxNorm(norm / 10));
        rules.put("quantileClip", ClipRule.quantileClip().withMaxNorm(norm / 1000));
        rules.put("adaGc", ClipRule.adaGc().withMaxNorm(norm / 10));
        rules.put("skipSpikes", ClipRule.skipSpikes().withMaxNorm(norm / 10));
        rules.put("laggedNorm", ClipRule.laggedNorm(norm / 10));
        return rules;
    }

    /**
     * Prints a row a rule.
     *
     * @throws IllegalStateException if a norm is not LibTorch's, or a rule does not bite
     */
    void run(PrintStream out, int warmup, int steps, double norm) {
        out.println("| rule | collect and rebind | clip, median (10 % to 90 %) | heap bytes a step |");
        out.println("|---|---|---|---|");
        rules(norm).forEach((name, rule) -> {
            double[] found = new double[steps];
            double[] clipped = new double[steps];
            long bytes = 0;
            for (int step = -warmup; step < steps; step++) {
                long[] times = step(name, rule, norm);
                if (step < 0) continue;
                found[step] = times[0] / 1e3;
                clipped[step] = times[1] / 1e3;
                bytes = times[2];
            }
            Arrays.sort(found);
            Arrays.sort(clipped);
            out.printf(
                    Locale.ROOT,
                    "| %s | %.0f | %.0f (%.0f to %.0f) | %d |%n",
                    name,
                    found[steps / 2],
                    clipped[steps / 2],
                    clipped[steps / 10],
                    clipped[steps * 9 / 10],
                    bytes);
        });
    }

    @SuppressWarnings("try") // a scope is there to be closed
    private long[] step(String name, ClipRule rule, double norm) {
        try (PointerScope scope = new PointerScope()) {
            training.backward();
            long bytes = MEMORY.getCurrentThreadAllocatedBytes();
            long start = System.nanoTime();
            clipper.collect();
            var bound = clipper.rebind();
            long rebound = System.nanoTime();
            ClipResult result = bound.clip(rule);
            long end = System.nanoTime();
            long[] times = {rebound - start, end - rebound, MEMORY.getCurrentThreadAllocatedBytes() - bytes};
            // The first of lagged norms has no average to go by.
            boolean lags = rule instanceof NormRule by && by.history() instanceof History.Lagged;
            check(name, rule, result, norm, !lags || clipper.history(rule).steps() > 1);
            return times;
        }
    }

    private static void check(String name, ClipRule rule, ClipResult result, double norm, boolean clips) {
        double want = norm * rule.inverseScale();
        boolean agrees =
                Double.isNaN(result.globalNorm()) || Math.abs(result.globalNorm() - want) <= LIBTORCH_PRECISION * want;
        if (agrees && result.clipped() == clips) return;
        throw new IllegalStateException(
                name + " found " + result + ", but LibTorch the norm " + want + ", which it should clip");
    }

    @Override
    public void close() {
        clipper.close();
    }
}
