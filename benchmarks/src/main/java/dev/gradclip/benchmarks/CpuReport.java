// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import dev.gradclip.Backend;
import java.io.File;
import java.io.IOException;
import java.nio.file.Path;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

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
            description =
                    "What is clipped beside peers: COUNTxLENGTH, resnet50, gpt2, llama8b, nemo-mixed, nemo-embedding, "
                            + "nemo-matrices; those with a name in 1 GiB at most. Default: a list of ten.")
    private List<String> workloads = List.of();

    @Option(
            names = "--dtype",
            defaultValue = "f32",
            description = "Of what is clipped beside peers: f32; bf16 or f16, which only LibTorch's peer has here.")
    private String dtype = "";

    @Option(
            names = "--seconds",
            defaultValue = "4",
            description = "For each case beside a peer. Default: ${DEFAULT-VALUE}.")
    private double seconds;

    @Option(names = "--json", paramLabel = "FILE", description = "Also write every figure there.")
    private @Nullable File json;

    @Option(
            names = "--png",
            paramLabel = "FILE",
            description = "Also draw there how long each peer's clip takes beside gradclip's.")
    private @Nullable Path png;

    @Option(
            names = "--from",
            paramLabel = "FILE",
            description = "Measures nothing, and draws --png from what an earlier run wrote by --json.")
    private @Nullable Path from;

    @Option(names = "--threads", description = "Threads that clip, and that the rates are measured with.")
    private int threads = Backend.defaultThreads();

    @Option(names = "--forks", defaultValue = "2", description = "JVMs a benchmark runs in. Default: ${DEFAULT-VALUE}.")
    private int forks;

    @Spec
    private CommandSpec spec = CommandSpec.create();

    private List<Limits.Row> rows = List.of();
    private final List<DuelSample> duels = new ArrayList<>();

    /** Runs it. */
    public static void main(String[] args) {
        System.exit(new CommandLine(new CpuReport()).execute(args));
    }

    @Override
    public Integer call() throws Exception {
        if (from != null) return redraw(from);
        System.out.printf(
                "%s, %d processors, JDK %s, SIMD %s, %d threads, %s%n%n",
                System.getProperty("os.arch"),
                Runtime.getRuntime().availableProcessors(),
                System.getProperty("java.version"),
                Backend.NATIVE.details().getOrDefault("simd", "none"),
                threads,
                LocalDate.now(ZoneOffset.UTC));
        List<String> faults = List.of();
        Peers built = new Peers(peers, threads);
        if (quick) {
            duels.addAll(new QuickReport(built, rates, judge, threads).print(System.out));
        } else {
            if (!only.equals("peers")) {
                Limits limits = new Limits(rates, threads, forks, System.out);
                limits.print();
                rows = limits.rows();
                faults = limits.faults();
            }
            if (!only.equals("limits")) {
                PeerTable table = new PeerTable(built, workloads.isEmpty() ? PeerTable.WORKLOADS : workloads, dtype);
                table.print(System.out, seconds);
                duels.addAll(table.samples());
            }
        }
        if (json != null) write(json);
        if (png != null && !duels.isEmpty()) PeerChart.write(duels, png);
        for (String fault : faults) System.err.println("too much is allocated: " + fault);
        return faults.isEmpty() ? 0 : 1;
    }

    private int redraw(Path report) throws IOException {
        if (png == null) {
            throw new ParameterException(spec.commandLine(), "--from draws a picture: say where by --png FILE");
        }
        PeerChart.write(DuelSample.ofReport(report), png);
        return 0;
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
            for (Limits.Row row : rows) {
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
                out.writeNumberField("bytes_a_call", s.allocation().bytes());
                out.writeNumberField("calls", s.allocation().calls());
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
