// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.watch;

import dev.gradclip.cli.shell.BadFileException;
import dev.gradclip.cli.shell.ExitCode;
import dev.gradclip.cli.shell.RunFiles;
import dev.gradclip.cli.shell.Subcommand;
import dev.gradclip.cli.shell.Terminal;
import dev.gradclip.report.BadRunException;
import dev.gradclip.report.RunReader;
import dev.gradclip.report.RunStep;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Runs {@code gradclip watch}. */
@Command(
        name = "watch",
        sortOptions = false,
        description = {
            "Follows a run file while a training writes it, until Ctrl-C.",
            "",
            "On a terminal: the latest norm and threshold, how often gradients were clipped and skipped, and a plot of "
                    + "the latest norms. Elsewhere, as in a pipe: a line for each step of the file, and then for each "
                    + "new one.",
            "",
            "'gradclip report --help' tells what a run file is."
        },
        footerHeading = "%nExamples:%n",
        footer = {
            "  gradclip watch run.jsonl",
            "  gradclip watch run.jsonl --last 200",
            "  gradclip watch run.jsonl --once",
            "  gradclip watch run.jsonl | grep skipped"
        },
        exitCodeList = {
            "0:done, by --once",
            "2:wrong usage, or RUN is not there or is no run file",
            "3:reading or writing failed, an internal error",
            "130:ended by Ctrl-C"
        })
@SuppressWarnings("NullAway.Init") // picocli sets what is required before it calls
public final class WatchCommand extends Subcommand {
    private static final long POLL_MILLIS = 250;

    @Parameters(paramLabel = "RUN", description = "run file, JSON lines or CSV")
    private Path run;

    @Option(names = "--last", paramLabel = "N", description = "how many steps the plot shows (default: 1000)")
    private int last = 1000;

    @Option(names = "--once", description = "show the file as it is now, with the plot, and end")
    private boolean once;

    public WatchCommand(Terminal terminal) {
        super(terminal);
    }

    @Override
    public Integer call() throws IOException {
        if (last < 1 || last > 10_000_000) throw usage("--last must be 1 to 10000000, but is " + last);
        RunFiles.require(run);
        try (RunReader reader = RunReader.open(run)) {
            if (once) once(reader);
            else if (terminal.screen()) draw(reader);
            else print(reader);
        } catch (BadRunException e) {
            throw new BadFileException(String.valueOf(e.getMessage()), e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        return ExitCode.DONE;
    }

    private void once(RunReader reader) throws IOException {
        RecentSteps steps = new RecentSteps(last);
        read(reader, steps);
        if (steps.isEmpty()) throw new BadFileException(run + ": holds no clip yet; a run file gets a line for each");
        steps.lines().forEach(terminal.out()::println);
    }

    /** Returns whether there was a new step. */
    private static boolean read(RunReader reader, RecentSteps steps) throws IOException {
        boolean any = false;
        for (RunStep step = reader.next(); step != null; step = reader.next()) {
            steps.add(step);
            any = true;
        }
        return any;
    }

    private void print(RunReader reader) throws IOException, InterruptedException {
        // A reader of the pipe that is gone ends it; Main says so.
        while (!terminal.out().checkError()) {
            for (RunStep step = reader.next(); step != null; step = reader.next()) {
                terminal.out().println(RecentSteps.line(step));
            }
            terminal.out().flush();
            Thread.sleep(POLL_MILLIS);
        }
    }

    private void draw(RunReader reader) throws IOException, InterruptedException {
        RecentSteps steps = new RecentSteps(last);
        terminal.out().println("waiting for the first step; Ctrl-C ends");
        int above = 1;
        while (!terminal.out().checkError()) {
            if (read(reader, steps)) {
                List<String> lines = steps.lines();
                // Up to where the last picture began, and nothing of it is left below.
                terminal.out().print("\u001b[" + above + "A\u001b[J");
                lines.forEach(terminal.out()::println);
                above = lines.size();
            }
            terminal.out().flush();
            Thread.sleep(POLL_MILLIS);
        }
    }
}
