// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import dev.gradclip.Backend;
import dev.gradclip.DType;
import java.io.File;
import java.io.IOException;
import java.nio.file.Path;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.ChainedOptionsBuilder;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.VerboseMode;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Runs the CPU benchmarks with the machine's own rates beside them and prints Markdown tables. */
@Command(name = "benchmarks/run cpu", mixinStandardHelpOptions = true, sortOptions = false)
public final class CpuReport implements Callable<Integer> {
    @Option(names = "--rates", required = true, hidden = true)
    private String rates = "";

    @Option(names = "--peers", required = true, hidden = true)
    private Path peers = Path.of("");

    @Option(names = "--judge", required = true, hidden = true)
    private Path judge = Path.of("");

    @Option(
            names = "--quick",
            description =
                    "Less than a minute: the training step and a few clips beside LibTorch's; the last line sums up.")
    private boolean quick;

    @Option(
            names = "--only",
            paramLabel = "PART",
            description = "limits (beside plain C) or peers (beside other libraries); default: both.")
    private String only = "";

    @Option(
            names = "--workloads",
            split = ",",
            description = "What is clipped beside peers: COUNTxLENGTH, resnet50, gpt2. Default: a list of eight.")
    private List<String> workloads = List.of();

    @Option(
            names = "--seconds",
            defaultValue = "4",
            description = "For each case beside a peer. Default: ${DEFAULT-VALUE}.")
    private double seconds;

    @Option(names = "--json", paramLabel = "FILE", description = "Also write every figure there.")
    private @Nullable File json;

    @Option(names = "--png", paramLabel = "FILE", description = "Also draw the clips beside peers there, as bars.")
    private @Nullable Path png;

    @Option(names = "--threads", description = "Threads that clip, and that the rates are measured with.")
    private int threads = Backend.defaultThreads();

    @Option(names = "--forks", defaultValue = "2", description = "JVMs a benchmark runs in. Default: ${DEFAULT-VALUE}.")
    private int forks;

    /** A sample beside the machine's rates for as many bytes. */
    private record Row(Sample sample, Rates rates) {
        double limit() {
            return switch (sample.what()) {
                case "bites" -> rates.read() + rates.scale();
                default -> rates.read();
            };
        }
    }

    private final List<Row> rows = new ArrayList<>();
    private final List<DuelSample> duels = new ArrayList<>();

    /** Runs it. */
    public static void main(String[] args) {
        System.exit(new CommandLine(new CpuReport()).execute(args));
    }

    @Override
    public Integer call() throws Exception {
        System.out.printf(
                "%s, %d processors, JDK %s, SIMD %s, %d threads, %s%n%n",
                System.getProperty("os.arch"),
                Runtime.getRuntime().availableProcessors(),
                System.getProperty("java.version"),
                Backend.NATIVE.details().getOrDefault("simd", "none"),
                threads,
                LocalDate.now(ZoneOffset.UTC));
        Peers built = new Peers(peers, threads);
        if (quick) {
            duels.addAll(new QuickReport(built, rates, judge, threads).print(System.out));
        } else {
            if (!only.equals("peers")) limits();
            if (!only.equals("limits")) {
                PeerTable table = new PeerTable(built, workloads.isEmpty() ? PeerTable.WORKLOADS : workloads);
                table.print(System.out, seconds);
                duels.addAll(table.samples());
            }
        }
        if (json != null) write(json);
        if (png != null && !duels.isEmpty()) PeerChart.write(duels, png);
        return 0;
    }

    private void limits() throws Exception {
        String[] sizes = {"1x65536", "1x1048576", "1x16777216", "1x67108864"};
        String[] dtypes = {"FLOAT32", "BFLOAT16", "FLOAT16", "FLOAT64"};
        String[] backends = {"NATIVE", "JAVA"};
        System.out.println(
                "| backend | type | elements | measure µs | GB/s | of read | clip µs (bites) | GB/s | of read + scale "
                        + "| plain C read + scale µs |");
        System.out.println("|---|---|---|---|---|---|---|---|---|---|");
        for (String backend : backends) {
            for (String dtype : dtypes) {
                for (String shape : sizes) oneTensor(backend, dtype, shape);
            }
        }
        System.out.println();
        System.out.println("| backend | tensors | memory | clip µs (bites) | clip µs (does not) | clamp µs |");
        System.out.println("|---|---|---|---|---|---|");
        for (String backend : backends) {
            for (String shape : new String[] {"500x1024", "1000x4"}) {
                for (String memory : new String[] {"direct", "heap"}) manyTensors(backend, shape, memory);
            }
        }
        System.out.println();
    }

    private void oneTensor(String backend, String dtype, String shape) throws Exception {
        long bytes = Tensors.elements(shape) * DType.valueOf(dtype).bytes();
        Rates before = Rates.measure(rates, threads, bytes);
        List<Sample> samples = bench(backend, dtype, shape, "direct", "measure|bites");
        Rates limit = before.faster(Rates.measure(rates, threads, bytes));
        for (Sample sample : samples) rows.add(new Row(sample, limit));
        Sample measure = named(samples, "measure");
        Sample bites = named(samples, "bites");
        System.out.printf(
                Locale.ROOT,
                "| %s | %s | %s | %.1f (%.1f to %.1f) | %.1f | %.2f | %.1f (%.1f to %.1f) | %.1f | %.2f | %.1f + %.1f |%n",
                backend,
                dtype,
                human(Tensors.elements(shape)),
                measure.micros(),
                measure.low(),
                measure.high(),
                bytes / measure.micros() / 1e3,
                limit.read() / measure.micros(),
                bites.micros(),
                bites.low(),
                bites.high(),
                3 * bytes / bites.micros() / 1e3,
                (limit.read() + limit.scale()) / bites.micros(),
                limit.read(),
                limit.scale());
    }

    private void manyTensors(String backend, String shape, String memory) throws Exception {
        List<Sample> samples = bench(backend, "FLOAT32", shape, memory, "bites|doesNotBite|clamp");
        for (Sample sample : samples) rows.add(new Row(sample, new Rates(0, 0)));
        System.out.printf(
                Locale.ROOT,
                "| %s | %s | %s | %.1f | %.1f | %.1f |%n",
                backend,
                shape.replace("x", " × "),
                memory,
                named(samples, "bites").micros(),
                named(samples, "doesNotBite").micros(),
                named(samples, "clamp").micros());
    }

    private List<Sample> bench(String backend, String dtype, String shape, String memory, String methods)
            throws RunnerException {
        System.err.println(backend + " " + dtype + " " + shape + " " + memory + " " + methods);
        ChainedOptionsBuilder options = new OptionsBuilder()
                .include(ClipBenchmark.class.getName() + "\\.(" + methods + ")$")
                .param("backend", backend)
                .param("dtype", dtype)
                .param("shape", shape)
                .param("memory", memory)
                .param("threads", Integer.toString(threads))
                .verbosity(VerboseMode.SILENT)
                .forks(forks);
        List<Sample> samples = new ArrayList<>();
        for (RunResult result : new Runner(options.build()).run()) samples.add(Sample.of(result));
        return samples;
    }

    private static Sample named(List<Sample> samples, String what) {
        for (Sample sample : samples) if (sample.what().equals(what)) return sample;
        throw new IllegalStateException("the benchmark " + what + " gave no result");
    }

    private static String human(long elements) {
        return elements >= 1 << 20 ? (elements >> 20) + "Mi" : (elements >> 10) + "Ki";
    }

    private void write(File file) throws IOException {
        try (JsonGenerator out =
                new JsonFactory().createGenerator(file, com.fasterxml.jackson.core.JsonEncoding.UTF8)) {
            out.useDefaultPrettyPrinter();
            out.writeStartObject();
            out.writeStringField("date", LocalDate.now(ZoneOffset.UTC).toString());
            out.writeStringField("java", System.getProperty("java.version"));
            out.writeStringField("simd", Backend.NATIVE.details().getOrDefault("simd", "none"));
            out.writeNumberField("threads", threads);
            out.writeArrayFieldStart("results");
            for (Row row : rows) {
                Sample s = row.sample();
                out.writeStartObject();
                out.writeStringField("case", s.what());
                out.writeStringField("backend", s.backend());
                out.writeStringField("dtype", s.dtype());
                out.writeStringField("shape", s.shape());
                out.writeStringField("memory", s.memory());
                out.writeNumberField("micros", s.micros());
                out.writeNumberField("micros_p10", s.low());
                out.writeNumberField("micros_p90", s.high());
                if (row.limit() > 0) out.writeNumberField("limit_micros", row.limit());
                out.writeEndObject();
            }
            out.writeEndArray();
            out.writeArrayFieldStart("peers");
            for (DuelSample duel : duels) duel.write(out);
            out.writeEndArray();
            out.writeEndObject();
        }
    }
}
