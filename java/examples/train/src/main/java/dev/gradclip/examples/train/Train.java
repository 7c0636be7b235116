// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.train;

import com.sun.management.ThreadMXBean;
import dev.gradclip.Backend;
import java.io.PrintStream;
import java.lang.management.ManagementFactory;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.function.Supplier;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Trains for some steps with each way of clipping in turn and prints what it added to a step. */
@Command(
        name = "train",
        mixinStandardHelpOptions = true,
        sortOptions = false,
        description = {
            "Times what gradient clipping adds to a training step: ResNet-50's 161 parameters, gradients freed and",
            "allocated anew each step, some absent. Each way of clipping does every step, in turn, on equal gradients."
        })
public final class Train implements Callable<Integer> {
    @Option(names = "--steps", defaultValue = "40", description = "Steps that are timed. Default: ${DEFAULT-VALUE}.")
    private int steps;

    @Option(names = "--warmup", defaultValue = "15", description = "Steps before that. Default: ${DEFAULT-VALUE}.")
    private int warmup;

    @Option(
            names = "--frozen",
            defaultValue = "15",
            description = "Parameters, from the first, that get no gradient. Default: ${DEFAULT-VALUE}.")
    private int frozen;

    @Option(names = "--threads", description = "Threads that clip. Default: the processors.")
    private int threads = Backend.defaultThreads();

    private final PrintStream out;

    Train(PrintStream out) {
        this.out = out;
    }

    /** Runs it. */
    public static void main(String[] args) {
        System.exit(new CommandLine(new Train(System.out)).execute(args));
    }

    @Override
    public Integer call() {
        Model model = new Model(frozen, 1);
        model.backward(0);
        long elements = 0;
        int present = 0;
        for (int i = 0; i < model.parameters().size(); i++) {
            float[] gradient = model.gradient(i);
            if (gradient == null) continue;
            elements += gradient.length;
            present++;
        }
        double norm;
        try (Clipping loop = new LoopClipping()) {
            loop.collect(model);
            norm = loop.clip(Double.POSITIVE_INFINITY);
        }
        out.printf(
                Locale.ROOT,
                "ResNet-50: %d parameters, %d with a gradient, %,d elements; %d threads; norm about %.4g%n",
                model.parameters().size(),
                present,
                elements,
                threads,
                norm);
        out.println("Added to a step between backward() and step(), median microseconds:");
        out.println();
        out.println(
                "| case | by | collect | rebind | clip | sum (fastest to slowest) | heap bytes a step | loop / this |");
        out.println("|---|---|---|---|---|---|---|---|");
        run(model, "bites", norm / 2);
        run(model, "does not bite", norm * 2);
        return 0;
    }

    private void run(Model model, String name, double maxNorm) {
        Map<String, Supplier<Clipping>> ways = new LinkedHashMap<>();
        ways.put("a loop in Java, 1 thread", LoopClipping::new);
        ways.put("gradclip JAVA", () -> new GradclipClipping(model, Backend.JAVA, threads));
        if (Backend.NATIVE.isAvailable()) {
            ways.put("gradclip NATIVE", () -> new GradclipClipping(model, Backend.NATIVE, threads));
        }
        Map<String, Clipping> clippings = new LinkedHashMap<>();
        Map<String, StepTimes> times = new LinkedHashMap<>();
        ways.forEach((way, make) -> {
            clippings.put(way, make.get());
            times.put(way, new StepTimes(steps));
        });
        for (int step = -warmup; step < steps; step++) {
            for (Map.Entry<String, Clipping> way : clippings.entrySet()) {
                model.zeroGrad();
                model.backward(step + warmup);
                StepTimes into = step < 0 ? new StepTimes(1) : times.getOrDefault(way.getKey(), new StepTimes(steps));
                timeOne(way.getValue(), model, maxNorm, into, Math.max(step, 0));
                model.step(1e-3f);
            }
        }
        double loop = 0;
        for (Map.Entry<String, StepTimes> entry : times.entrySet()) {
            StepTimes t = entry.getValue();
            if (loop == 0) loop = t.totalMicros(0.5);
            out.printf(
                    Locale.ROOT,
                    "| %s | %s | %.1f | %.1f | %.0f | %.0f (%.0f to %.0f) | %d | %.1f |%n",
                    name,
                    entry.getKey(),
                    t.micros(StepTimes.Part.COLLECT),
                    t.micros(StepTimes.Part.REBIND),
                    t.micros(StepTimes.Part.CLIP),
                    t.totalMicros(0.5),
                    t.totalMicros(0),
                    t.totalMicros(1),
                    t.bytes(),
                    loop / t.totalMicros(0.5));
        }
        clippings.values().forEach(Clipping::close);
    }

    private static void timeOne(Clipping clipping, Model model, double maxNorm, StepTimes times, int step) {
        ThreadMXBean memory = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        long bytes = memory.getCurrentThreadAllocatedBytes();
        long start = System.nanoTime();
        clipping.collect(model);
        long collected = System.nanoTime();
        clipping.rebind();
        long rebound = System.nanoTime();
        clipping.clip(maxNorm);
        long clipped = System.nanoTime();
        times.bytes(step, memory.getCurrentThreadAllocatedBytes() - bytes);
        times.time(StepTimes.Part.COLLECT, step, collected - start);
        times.time(StepTimes.Part.REBIND, step, rebound - collected);
        times.time(StepTimes.Part.CLIP, step, clipped - rebound);
    }
}
