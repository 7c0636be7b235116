// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import dev.gradclip.Backend;
import dev.gradclip.measure.MemoryBudget;
import java.io.File;
import java.io.IOException;
import java.nio.file.Path;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Measures how the time of a clip grows with what it is given, fits a model and prints Markdown tables. */
@Command(name = "benchmarks/run scaling", mixinStandardHelpOptions = true, sortOptions = false)
public final class ScalingReport implements Callable<Integer> {
    private static final int REBOUND = 1000;
    private static final int REBOUND_LENGTH = 1024;

    @Option(names = "--quick", description = "Sizes 16 times apart up to 16Mi, a quarter of a second each, three JVMs.")
    private boolean quick;

    @Option(names = "--json", paramLabel = "FILE", description = "Also write every figure there.")
    private @Nullable File json;

    @Option(names = "--png", paramLabel = "FOLDER", description = "Also draw charts there: scaling-….png.")
    private @Nullable Path png;

    @Option(names = "--threads", paramLabel = "N", description = "Threads that clip. Default: all processors.")
    private int threads = Backend.defaultThreads();

    @Option(names = "--millis", paramLabel = "M", description = "A measurement takes. Default: 400, or 250 if --quick.")
    private int millis;

    @Option(names = "--largest", paramLabel = "N", description = "Elements at most. Default: 1Gi, or 16Mi if --quick.")
    private long largest;

    @Option(names = "--starts", paramLabel = "N", description = "JVMs that clip once. Default: 15, or 3 if --quick.")
    private int starts;

    /** Runs it. */
    public static void main(String[] args) {
        System.exit(new CommandLine(new ScalingReport()).execute(args));
    }

    @Override
    public Integer call() throws IOException, InterruptedException {
        Map<String, String> facts = facts();
        System.out.println(String.join(", ", facts.values()));
        System.out.println();
        Scaling scaling = measure();
        ScalingTables.print(scaling, System.out);
        if (json != null) ScalingJson.write(scaling, facts, json);
        if (png != null) ScalingCharts.write(scaling, png);
        return 0;
    }

    private Scaling measure() throws IOException, InterruptedException {
        ScalingRuns runs = new ScalingRuns(
                Backend.preferred(),
                threads,
                (millis > 0 ? millis : quick ? 250 : 400) / 1e3,
                MemoryBudget.memory(),
                largest > 0 ? largest : quick ? 1L << 24 : 1L << 30,
                quick ? 4 : 2,
                System.err::println);
        int length = (int) Math.min(REBOUND_LENGTH, Math.max(1, runs.largest() / REBOUND));
        // The JVMs first: their start is slower while this one holds gigabytes.
        var starting = StartTimes.measure(starts > 0 ? starts : quick ? 3 : 15);
        return new Scaling(runs.sizes(), runs.counts(), runs.threadCounts(), runs.rebinds(REBOUND, length), starting);
    }

    private Map<String, String> facts() {
        Map<String, String> facts = new LinkedHashMap<>();
        facts.put("arch", System.getProperty("os.arch"));
        facts.put("processors", Runtime.getRuntime().availableProcessors() + " processors");
        facts.put("java", "JDK " + System.getProperty("java.version"));
        facts.put(
                "backend", Backend.preferred() + " " + Backend.NATIVE.details().getOrDefault("simd", ""));
        facts.put("threads", threads + " threads");
        facts.put("date", LocalDate.now(ZoneOffset.UTC).toString());
        return facts;
    }
}
