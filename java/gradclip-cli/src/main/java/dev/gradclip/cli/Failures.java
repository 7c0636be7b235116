// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli;

import dev.gradclip.BackendUnavailableException;
import dev.gradclip.cli.safetensors.BadFileException;
import dev.gradclip.cli.safetensors.Reason;
import dev.gradclip.cli.safetensors.Shown;
import java.io.IOException;
import java.nio.file.FileSystemException;
import picocli.CommandLine.ParameterException;

/** Turns what went wrong into an exit code and at most three lines. */
final class Failures {
    private static final int LONGEST_LINE = 600;

    private final Terminal terminal;

    Failures(Terminal terminal) {
        this.terminal = terminal;
    }

    int reportUsage(ParameterException e) {
        say(String.valueOf(e.getMessage()));
        terminal.err().println("'" + e.getCommandLine().getCommandSpec().qualifiedName() + " --help' tells the usage.");
        return ExitCode.USAGE;
    }

    int report(Throwable e) {
        if (e instanceof ParameterException usage) return reportUsage(usage);
        if ("1".equals(System.getenv("GRADCLIP_DEBUG"))) e.printStackTrace(terminal.err());
        say(message(e));
        if (e instanceof NonFiniteFileException) return ExitCode.NON_FINITE;
        return e instanceof BadFileException ? ExitCode.USAGE : ExitCode.FAILURE;
    }

    /** What happened, for people. */
    static String message(Throwable e) {
        if (e instanceof FileSystemException file) return file.getFile() + ": " + Reason.of(file);
        if (e instanceof OutOfMemoryError) {
            return "out of memory (" + e.getMessage() + "); GRADCLIP_JAVA_OPTS=-Xmx4g gives more";
        }
        boolean told = e instanceof IOException || e instanceof BackendUnavailableException;
        return told ? String.valueOf(e.getMessage()) : "internal error: " + e + "; GRADCLIP_DEBUG=1 shows where";
    }

    private void say(String message) {
        String line = Shown.escaped(Shown.shortened(message.strip(), LONGEST_LINE));
        terminal.err().println(terminal.red("gradclip: error:") + " " + line);
    }
}
