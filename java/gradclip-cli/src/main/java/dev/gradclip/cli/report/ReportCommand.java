// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.report;

import dev.gradclip.cli.shell.AtomicOutput;
import dev.gradclip.cli.shell.BadFileException;
import dev.gradclip.cli.shell.ExitCode;
import dev.gradclip.cli.shell.Numbers;
import dev.gradclip.cli.shell.OutputTarget;
import dev.gradclip.cli.shell.Printable;
import dev.gradclip.cli.shell.RunFiles;
import dev.gradclip.cli.shell.Subcommand;
import dev.gradclip.cli.shell.Terminal;
import dev.gradclip.report.BadRunException;
import dev.gradclip.report.RunPage;
import dev.gradclip.report.TensorBoardLog;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Runs {@code gradclip report}. */
@Command(
        name = "report",
        sortOptions = false,
        description = {
            "Draws run files as one web page, which needs no network: open it in a browser. Or makes event files of "
                    + "them, for TensorBoard.",
            "",
            "The page shows the norm over the steps on a logarithmic axis, the threshold, which steps were clipped or "
                    + "skipped, and how often; and where a run has norms of tensors or groups, those over the steps "
                    + "and the share of each in the norm.",
            "",
            "A run file has one line for each clip. RunRecorder of gradclip-report writes it, as does 'gradclip demo "
                    + "--record DIR'. Any program can: lines as {\"step\":0,\"norm\":2.5} are enough, with "
                    + "\"threshold\", \"clipped\" and \"skipped\" where they are known; so is CSV with these columns.",
            "",
            "Of more than 2000 steps the page shows bins: the median, the smallest and the largest norm of some steps "
                    + "each. It says so.",
            "",
            "With --tensorboard each run gets a folder of its name in DIR, with one event file: grad_norm/global, "
                    + "grad_norm/threshold, clip/coefficient, clip/clipped, clip/non_finite, clip/skipped, and "
                    + "tensor_norm/NAME or group_norm/NAME."
        },
        footerHeading = "%nExamples:%n",
        footer = {
            "  gradclip demo --record runs",
            "  gradclip report runs/*.jsonl -o report.html",
            "  gradclip report run.csv -o run.html",
            "  gradclip report runs/*.jsonl --tensorboard logs",
            "  tensorboard --logdir logs"
        },
        exitCodeList = {
            "0:done",
            "2:wrong usage, or RUN is not there, is no run file or holds no clip",
            "3:reading or writing failed, an internal error"
        })
@SuppressWarnings("NullAway.Init") // picocli sets what is required before it calls
public final class ReportCommand extends Subcommand {
    @Parameters(arity = "1..*", paramLabel = "RUN", description = "run files, JSON lines or CSV")
    private List<Path> runs;

    @Option(
            names = {"-o", "--output"},
            paramLabel = "OUT",
            description = "the page to write, an HTML file; one that is there is replaced")
    private @Nullable Path out;

    @Option(
            names = "--tensorboard",
            paramLabel = "DIR",
            description = "the log directory to write event files into; a run's earlier one is replaced")
    private @Nullable Path logs;

    public ReportCommand(Terminal terminal) {
        super(terminal);
    }

    @Override
    public Integer call() throws IOException {
        if (out == null && logs == null) throw usage("give --output OUT for a page, or --tensorboard DIR, or both");
        OutputTarget target = out == null ? null : OutputTarget.of(out);
        for (Path run : runs) {
            RunFiles.require(run);
            if (target != null && Files.exists(target.path()) && Files.isSameFile(run, target.path())) {
                throw new BadFileException(run + ": is a run file and the output, which would replace it");
            }
        }
        Map<String, Path> byName = logs == null ? Map.of() : byName();
        if (target != null) {
            byte[] page = read(() -> RunPage.of(runs));
            AtomicOutput.write(target, page);
            terminal.out()
                    .println("written: " + Printable.escaped(target.path().toString()) + ", "
                            + Numbers.fixed(Math.ceil(page.length / 1024.0), 0) + " KiB");
        }
        if (logs != null) writeLogs(logs, byName);
        return ExitCode.DONE;
    }

    private void writeLogs(Path directory, Map<String, Path> byName) throws IOException {
        for (Map.Entry<String, Path> run : byName.entrySet()) {
            Path log = directory.resolve(run.getKey());
            Path file = read(() -> TensorBoardLog.write(run.getValue(), log));
            terminal.out().println("written: " + Printable.escaped(file.toString()));
        }
    }

    /** The runs by the names that TensorBoard shows: those of the files, without their last suffix. */
    private Map<String, Path> byName() throws BadFileException {
        if (logs != null && Files.exists(logs) && !Files.isDirectory(logs)) {
            throw new BadFileException(logs + ": --tensorboard takes a folder, and this is a file");
        }
        Map<String, Path> byName = new LinkedHashMap<>();
        for (Path run : runs) {
            String name = String.valueOf(run.getFileName()).replaceFirst("(?<=.)[.][^.]*$", "");
            Path other = byName.putIfAbsent(name, run);
            if (other != null) {
                throw new BadFileException(run + " and " + other + " would both be the run " + name
                        + " in TensorBoard; give one of the files another name");
            }
        }
        return byName;
    }

    /** Something that reads runs. */
    private interface Reading<T> {
        T get() throws IOException;
    }

    private static <T> T read(Reading<T> reading) throws IOException {
        try {
            return reading.get();
        } catch (BadRunException e) {
            throw new BadFileException(String.valueOf(e.getMessage()), e);
        }
    }
}
