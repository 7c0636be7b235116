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
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Runs {@code gradclip report}. */
@Command(
        name = "report",
        sortOptions = false,
        description = {
            "Draws run files as one web page, which needs no network: open it in a browser.",
            "",
            "It shows the norm over the steps on a logarithmic axis, the threshold, which steps were clipped or "
                    + "skipped, and how often; and where a run has norms of tensors or groups, those over the steps "
                    + "and the share of each in the norm.",
            "",
            "A run file has one line for each clip. RunRecorder of gradclip-report writes it, as does 'gradclip demo "
                    + "--record DIR'. Any program can: lines as {\"step\":0,\"norm\":2.5} are enough, with "
                    + "\"threshold\", \"clipped\" and \"skipped\" where they are known; so is CSV with these columns.",
            "",
            "Of more than 2000 steps the page shows bins: the median, the smallest and the largest norm of some steps "
                    + "each. It says so."
        },
        footerHeading = "%nExamples:%n",
        footer = {
            "  gradclip demo --record runs",
            "  gradclip report runs/*.jsonl -o report.html",
            "  gradclip report run.csv -o run.html"
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
            required = true,
            paramLabel = "OUT",
            description = "the page to write, an HTML file; one that is there is replaced")
    private Path out;

    public ReportCommand(Terminal terminal) {
        super(terminal);
    }

    @Override
    public Integer call() throws IOException {
        OutputTarget target = OutputTarget.of(out);
        for (Path run : runs) {
            RunFiles.require(run);
            if (Files.exists(target.path()) && Files.isSameFile(run, target.path())) {
                throw new BadFileException(run + ": is a run file and the output, which would replace it");
            }
        }
        byte[] page = page();
        AtomicOutput.write(target, page);
        terminal.out()
                .println("written: " + Printable.escaped(target.path().toString()) + ", "
                        + Numbers.fixed(Math.ceil(page.length / 1024.0), 0) + " KiB");
        return ExitCode.DONE;
    }

    private byte[] page() throws IOException {
        try {
            return RunPage.of(runs);
        } catch (BadRunException e) {
            throw new BadFileException(String.valueOf(e.getMessage()), e);
        }
    }
}
