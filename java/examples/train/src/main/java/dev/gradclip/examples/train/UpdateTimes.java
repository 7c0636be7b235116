// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.train;

import static org.bytedeco.pytorch.global.torch.clip_grad_norm_;

import dev.gradclip.ClipRule;
import dev.gradclip.Update;
import dev.gradclip.javacpp.TorchClipper;
import dev.gradclip.javacpp.TorchClipperBuilder;
import dev.gradclip.measure.MemoryRates;
import java.io.IOException;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AdamW;
import org.bytedeco.pytorch.AdamWOptions;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.SGD;
import org.bytedeco.pytorch.SGDOptions;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;

/**
 * Times clip and update together: LibTorch's clip and its optimizer, its optimizer alone, LibTorch's fused kernel with
 * gradclip's decision, and gradclip's step, each on gradients that a backward pass of its own has just left. The byte
 * limit stands beside them: plain C that moves as many bytes, which takes its turn with them.
 */
final class UpdateTimes implements AutoCloseable {
    /** So small that the weights, and with them the gradients, stay what they are. */
    private static final double RATE = 1e-12;

    private final TensorVector parameters;
    private final Runnable backward;
    private final Map<String, Runnable> ways = new LinkedHashMap<>();
    private final List<Runnable> held = new ArrayList<>();
    private final double maxNorm;
    private final boolean adam;

    /**
     * Ways to clip and update these parameters, AdamW or SGD with momentum, after a pass that leaves gradients of some
     * norm.
     */
    UpdateTimes(TensorVector parameters, Runnable backward, double norm, boolean adam, int ownThreads) {
        this.parameters = parameters;
        this.backward = backward;
        this.adam = adam;
        maxNorm = norm / 10;
        Optimizer optimizer = optimizer();
        Optimizer alone = optimizer();
        TorchClipper clipper = clipper(ownThreads);
        held.add(optimizer::close);
        held.add(alone::close);
        held.add(clipper::close);
        Update update = adam ? Update.adamW(RATE) : Update.sgd(RATE).withMomentum(0.9);
        ways.put("LibTorch: clip_grad_norm_, then step()", () -> {
            clip_grad_norm_(parameters, maxNorm);
            optimizer.step();
        });
        ways.put("LibTorch: step() alone, unclipped", alone::step);
        if (adam) {
            TorchClipper decider = clipper(ownThreads);
            FusedAdamW fused = new FusedAdamW(parameters, RATE);
            held.add(decider::close);
            held.add(fused::close);
            ways.put("gradclip decides, LibTorch's fused kernel updates", () -> fused.step(decider, maxNorm));
        }
        ways.put("gradclip: step", () -> clipper.step(update, ClipRule.globalNorm(maxNorm)));
    }

    private Optimizer optimizer() {
        if (adam) return new AdamW(parameters, new AdamWOptions(RATE));
        SGDOptions options = new SGDOptions(RATE);
        options.momentum().put(0.9);
        return new SGD(parameters, options);
    }

    private TorchClipper clipper(int ownThreads) {
        TorchClipperBuilder builder = TorchClipper.builder().add(parameters);
        if (ownThreads > 0) builder.threads(ownThreads);
        return builder.build();
    }

    /** Prints a row a way, and the byte limit; returns the ratio of the first to gradclip's. */
    double run(PrintStream out, int warmup, int steps, int threads) throws IOException {
        Map<String, double[]> times = new LinkedHashMap<>();
        ways.keySet().forEach(name -> times.put(name, new double[steps]));
        double[] limits = new double[steps];
        double[] huge = new double[steps];
        // The gradients tell how many elements there are.
        backward.run();
        long elements = elements();
        boolean inC;
        try (PlainC plain = PlainC.start(threads, elements, adam ? 2 : 1, false);
                PlainC inHugePages = PlainC.start(threads, elements, adam ? 2 : 1, true)) {
            inC = plain != null && inHugePages != null;
            for (int step = -warmup; step < steps; step++) {
                int at = Math.max(step, 0);
                for (Map.Entry<String, Runnable> way : ways.entrySet()) {
                    double micros = time(way.getValue());
                    times.getOrDefault(way.getKey(), new double[steps])[at] = micros;
                }
                if (plain != null) limits[at] = plain.micros();
                if (inHugePages != null) huge[at] = inHugePages.micros();
            }
        }
        if (!inC) Arrays.fill(limits, limitOfLoops(threads));
        double[] first = times.values().iterator().next();
        double[] last = first;
        for (double[] each : times.values()) last = each;
        if (inC) times.put("plain C that moves as many bytes, in huge pages", huge);
        times.put(
                "byte limit: " + (inC ? "plain C that moves" : "this JVM's own loops over") + " as many bytes", limits);
        print(out, times, first, limits);
        return first[steps / 2] / last[steps / 2];
    }

    private static void print(PrintStream out, Map<String, double[]> times, double[] libTorch, double[] limits) {
        int steps = limits.length;
        times.values().forEach(Arrays::sort);
        out.println("| way | median µs (10 % to 90 %) | LibTorch's clip and step / this | byte limit / this |");
        out.println("|---|---|---|---|");
        for (Map.Entry<String, double[]> way : times.entrySet()) {
            double[] t = way.getValue();
            out.printf(
                    Locale.ROOT,
                    "| %s | %,.0f (%,.0f to %,.0f) | %.2f | %.2f |%n",
                    way.getKey(),
                    t[steps / 2],
                    t[steps / 10],
                    t[steps * 9 / 10],
                    libTorch[steps / 2] / t[steps / 2],
                    limits[steps / 2] / t[steps / 2]);
        }
    }

    @SuppressWarnings("try") // a scope is there to be closed
    private double time(Runnable way) {
        try (PointerScope scope = new PointerScope()) {
            backward.run();
            long start = System.nanoTime();
            way.run();
            return (System.nanoTime() - start) / 1e3;
        }
    }

    private long elements() {
        long elements = 0;
        for (long i = 0; i < parameters.size(); i++) {
            Tensor gradient = parameters.get(i).mutable_grad();
            if (gradient.defined()) elements += gradient.numel();
        }
        return elements;
    }

    /** The norm reads each gradient, the update reads it again and rewrites the weights and their state. */
    private double limitOfLoops(int threads) {
        long bytes = 4 * elements();
        MemoryRates rates = MemoryRates.measure(Math.min(bytes * (adam ? 5 : 4) / 4 * 4, 1 << 30), threads, 2);
        return 2 * bytes / rates.read() + (adam ? 3 : 2) * bytes / rates.rewrite();
    }

    @Override
    public void close() {
        held.forEach(Runnable::run);
    }
}
