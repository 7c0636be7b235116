// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import dev.gradclip.DType;
import dev.gradclip.measure.Shape;
import dev.gradclip.measure.Shapes;
import java.io.IOException;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Supplier;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.profile.GCProfiler;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.ChainedOptionsBuilder;
import org.openjdk.jmh.runner.options.Options;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;
import org.openjdk.jmh.runner.options.VerboseMode;

/** JMH's times and bytes allocated: of one tensor beside the machine's own rates, and of many small ones. */
final class Limits {
    private static final List<String> ONE_TENSOR = List.of("1x65536", "1x1048576", "1x16777216", "1x67108864");
    private static final List<String> SMALL_TENSORS = List.of("500x1024", "1000x4");
    private static final long COUNTING = 300;
    private static final List<String> BACKENDS = List.of("NATIVE", "JAVA");

    /** A sample beside the machine's rates for as many bytes. */
    record Row(Sample sample, Rates rates) {
        double limit() {
            return switch (sample.what()) {
                case "bites" -> rates.read() + rates.scale();
                default -> rates.read();
            };
        }
    }

    private final String rates;
    private final int threads;
    private final int forks;
    private final PrintStream out;
    private final List<Row> rows = new ArrayList<>();

    Limits(String rates, int threads, int forks, PrintStream out) {
        this.rates = rates;
        this.threads = threads;
        this.forks = forks;
        this.out = out;
    }

    /** All that was measured. */
    List<Row> rows() {
        return rows;
    }

    /** The benchmarks that allocated more than their result and their rule, a line each. */
    List<String> faults() {
        return rows.stream()
                .map(row -> row.sample().fault())
                .filter(fault -> !fault.isEmpty())
                .toList();
    }

    void print() throws IOException, InterruptedException, RunnerException {
        out.println("| backend | type | elements | measure µs | GB/s | of read | B a call | clip µs (bites) | GB/s "
                + "| of read + scale | B a call | plain C read + scale µs |");
        out.println("|---|---|---|---|---|---|---|---|---|---|---|---|");
        for (String backend : BACKENDS) {
            for (DType dtype : new DType[] {DType.FLOAT32, DType.BFLOAT16, DType.FLOAT16, DType.FLOAT64}) {
                for (String shape : ONE_TENSOR) oneTensor(backend, dtype, shape);
            }
        }
        out.println();
        out.println("| backend | tensors | memory | clip µs (bites) | B a call | clip µs (does not) | B a call "
                + "| clamp µs | B a call |");
        out.println("|---|---|---|---|---|---|---|---|---|");
        for (String backend : BACKENDS) {
            for (String shape : SMALL_TENSORS) {
                for (String memory : new String[] {"direct", "heap"}) smallTensors(backend, shape, memory);
            }
        }
        out.println();
    }

    private void oneTensor(String backend, DType dtype, String name)
            throws IOException, InterruptedException, RunnerException {
        Shape shape = Shapes.named(name, dtype, Long.MAX_VALUE);
        long bytes = shape.bytes();
        Rates before = Rates.measure(rates, threads, bytes);
        List<Sample> samples = bench(backend, dtype.name(), name, "direct", "measure|bites");
        Rates limit = before.faster(Rates.measure(rates, threads, bytes));
        for (Sample sample : samples) rows.add(new Row(sample, limit));
        Sample measure = named(samples, "measure");
        Sample bites = named(samples, "bites");
        out.printf(
                Locale.ROOT,
                "| %s | %s | %s | %s | %.1f | %.2f | %s | %s | %.1f | %.2f | %s | %.1f + %.1f |%n",
                backend,
                dtype,
                Shape.human(shape.elements()),
                measure.spread(),
                bytes / measure.micros() / 1e3,
                limit.read() / measure.micros(),
                measure.allocation(),
                bites.spread(),
                3 * bytes / bites.micros() / 1e3,
                (limit.read() + limit.scale()) / bites.micros(),
                bites.allocation(),
                limit.read(),
                limit.scale());
    }

    private void smallTensors(String backend, String shape, String memory) throws RunnerException {
        List<Sample> samples = bench(backend, "FLOAT32", shape, memory, "bites|doesNotBite|clamp");
        for (Sample sample : samples) rows.add(new Row(sample, new Rates(0, 0)));
        out.print("| " + backend + " | " + shape.replace("x", " × ") + " | " + memory + " |");
        for (String what : new String[] {"bites", "doesNotBite", "clamp"}) {
            Sample sample = named(samples, what);
            out.printf(Locale.ROOT, " %.1f | %s |", sample.micros(), sample.allocation());
        }
        out.println();
    }

    private List<Sample> bench(String backend, String dtype, String shape, String memory, String methods)
            throws RunnerException {
        System.err.println(backend + " " + dtype + " " + shape + " " + memory + " " + methods);
        Supplier<ChainedOptionsBuilder> options = () -> new OptionsBuilder()
                .include(ClipBenchmark.class.getName() + "\\.(" + methods + ")$")
                .param("backend", backend)
                .param("dtype", dtype)
                .param("shape", shape)
                .param("memory", memory)
                .param("threads", Integer.toString(threads))
                .verbosity(VerboseMode.SILENT);
        Map<String, Allocation> allocations = new HashMap<>();
        for (RunResult result : new Runner(counting(options.get())).run()) {
            allocations.put(result.getParams().getBenchmark(), Allocation.of(result));
        }
        List<Sample> samples = new ArrayList<>();
        for (RunResult result : new Runner(options.get().forks(forks).build()).run()) {
            Allocation allocation = allocations.get(result.getParams().getBenchmark());
            if (allocation == null) throw new IllegalStateException("JMH left out " + result.getParams());
            samples.add(Sample.of(result, allocation));
        }
        return samples;
    }

    /** Calls are timed all together: of times one by one JMH keeps every value, which allocates more than the calls. */
    static Options counting(ChainedOptionsBuilder options) {
        return options.mode(Mode.AverageTime)
                .addProfiler(GCProfiler.class)
                .forks(1)
                .warmupIterations(1)
                .warmupTime(TimeValue.milliseconds(COUNTING))
                .measurementIterations(3)
                .measurementTime(TimeValue.milliseconds(COUNTING))
                .build();
    }

    private static Sample named(List<Sample> samples, String what) {
        for (Sample sample : samples) if (sample.what().equals(what)) return sample;
        throw new IllegalStateException("the benchmark " + what + " gave no result");
    }
}
