// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.bench;

import dev.gradclip.Backend;
import dev.gradclip.cli.shell.BackendOptions;
import dev.gradclip.cli.shell.ExitCode;
import dev.gradclip.cli.shell.Format;
import dev.gradclip.cli.shell.Numbers;
import dev.gradclip.cli.shell.OutputTarget;
import dev.gradclip.cli.shell.Progress;
import dev.gradclip.cli.shell.Subcommand;
import dev.gradclip.cli.shell.Terminal;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Runs {@code gradclip bench}. */
@Command(
        name = "bench",
        sortOptions = false,
        description = {
            "Measures clipping on this machine: a table, a bar chart, and what it means.",
            "Norms, clips that bite and that do not, and clamps of 1%% of the elements, of 500 x 1Ki, 1Mi and 16Mi "
                    + "float32 and 16Mi bfloat16 elements. Beside them the machine's own limit, measured in the same "
                    + "run. With --update also clips and updates of weights, in one call and one after the other."
        },
        customSynopsis = {
            "gradclip bench [--seconds S] [--backend auto|java|native|cuda]",
            "               [--update none|sgd|momentum|adamw] [--threads N]",
            "               [--format text|json] [--png FILE]"
        },
        footerHeading = "%nJSON:%n",
        footer = {
            "  version, threads, processors, simd, update; seconds asked for and",
            "            took_seconds",
            "  limits    by size: read_gb_s, reading with as many threads; rewrite_gb_s,",
            "            reading and writing back",
            "  results   by measurement: backend; tensors, elements and bytes all told,",
            "            dtype; case: norm, does_not_bite, bites or clamp, and with --update",
            "            clip_then_update (a clip that bites, then the update by itself) and",
            "            step (both in one call); median_us, p10_us and p90_us of so many",
            "            calls; moved_bytes: N of a norm and of a clip that does not bite,",
            "            3 N of one that bites, N and the 64-byte lines that change of a",
            "            clamp, 2 N and weights and state twice of a step, 2 N more of",
            "            clip_then_update; gb_s: moved_bytes by median_us; limit_us: at the",
            "            machine's own rates; of_limit: limit_us by median_us; both null on a",
            "            device",
            "  left_out  sizes that were not measured, and the reason",
            "",
            "Examples:",
            "  gradclip bench",
            "  gradclip bench --seconds 60 --png bench.png",
            "  gradclip bench --update adamw",
            "  gradclip bench --backend native --threads 1 --format json"
        },
        exitCodeList = {
            "0:done",
            "2:wrong usage",
            "3:writing failed, the backend is not available, too little memory, an internal error"
        })
public final class BenchCommand extends Subcommand {
    private static final double FEWEST_SECONDS = 0.1;
    private static final double MOST_SECONDS = 3600;

    @Option(
            names = "--seconds",
            paramLabel = "S",
            description = "how long it may take; less than 4 leaves sizes out (default: 20)")
    private double seconds = 20;

    @Option(
            names = "--backend",
            paramLabel = "auto|java|native|cuda",
            description = "who is measured (default: auto, every one that is available)")
    private BackendOptions.Choice choice = BackendOptions.Choice.AUTO;

    @Option(
            names = "--update",
            paramLabel = "none|sgd|momentum|adamw",
            description = "also time a clip and this update of the weights: in one call, GradientClipper.step, and a "
                    + "clip and then the library's own update; momentum is SGD with 0.9 of it (default: none)")
    private BenchUpdate update = BenchUpdate.NONE;

    @Option(names = "--threads", paramLabel = "N", description = "how many threads work (default: all processors)")
    private int threads = Backend.defaultThreads();

    @Option(names = "--format", paramLabel = "text|json", description = "how to report (default: text)")
    private Format format = Format.TEXT;

    @Option(names = "--png", paramLabel = "FILE", description = "also draw the rates there, a chart for each size")
    private @Nullable Path png;

    public BenchCommand(Terminal terminal) {
        super(terminal);
    }

    @Override
    public Integer call() throws IOException {
        requireSeconds();
        checked(BackendOptions::requireThreads, threads);
        List<Backend> backends = BackendOptions.chosen(choice, Backend.values());
        OutputTarget target = png == null ? null : OutputTarget.of(png);
        BenchPlan plan = BenchPlan.of(seconds, update);
        BenchReport report;
        try (Progress progress = Progress.ofSteps(terminal, "bench", Bench.measurements(plan, backends, update))) {
            report = new Bench(backends, threads, seconds, update, progress).run(plan);
        }
        report.print(terminal, format);
        if (format == Format.TEXT) BackendOptions.sayFallback(terminal, choice);
        if (target != null) BenchChart.write(report, target, terminal);
        return ExitCode.DONE;
    }

    private void requireSeconds() {
        if (seconds >= FEWEST_SECONDS && seconds <= MOST_SECONDS) return;
        throw usage("--seconds must be 0.1 to 3600, but is " + Numbers.typed(seconds));
    }
}
