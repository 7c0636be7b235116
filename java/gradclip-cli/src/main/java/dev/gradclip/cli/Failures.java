// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli;

import dev.gradclip.cli.safetensors.BadFileException;
import dev.gradclip.cli.safetensors.Shown;
import java.io.IOException;
import java.nio.file.FileSystemException;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.UnmatchedArgumentException;

/** Turns what went wrong into an exit code and at most three lines. */
final class Failures {
    private static final int LONGEST_LINE = 600;

    private final Terminal terminal;

    Failures(Terminal terminal) {
        this.terminal = terminal;
    }

    int reportUsage(ParameterException e) {
        say(fault(e));
        terminal.err().println("'" + e.getCommandLine().getCommandSpec().qualifiedName() + " --help' tells the usage.");
        return ExitCode.USAGE;
    }

    /** Picocli's words where they serve; not where they count arguments from 0 or call an option's value another option. */
    private static String fault(ParameterException e) {
        Set<String> commands = e.getCommandLine().getSubcommands().keySet();
        if (!(e instanceof UnmatchedArgumentException unmatched)) {
            boolean missing = !commands.isEmpty() && e.getClass() == ParameterException.class;
            return missing ? "a command is missing: " + String.join(", ", commands) : String.valueOf(e.getMessage());
        }
        String first = "'" + unmatched.getUnmatched().get(0) + "'";
        if (!unmatched.isUnknownOption()) {
            return commands.isEmpty()
                    ? first + " is an argument too many"
                    : "there is no command " + first + "; the commands are " + String.join(", ", commands);
        }
        List<String> near = unmatched.getSuggestions();
        return "there is no option " + first + (near.isEmpty() ? "" : "; near it are " + String.join(", ", near));
    }

    int report(Throwable e) {
        if (e instanceof ParameterException usage) return reportUsage(usage);
        if ("1".equals(System.getenv("GRADCLIP_DEBUG"))) e.printStackTrace(terminal.err());
        if (e instanceof NonFiniteFileException) return fail(e.getMessage(), ExitCode.NON_FINITE);
        if (e instanceof BadFileException) return fail(e.getMessage(), ExitCode.USAGE);
        if (e instanceof FileSystemException file) return fail(fileMessage(file), ExitCode.FAILURE);
        if (e instanceof IOException) return fail(e.getMessage(), ExitCode.FAILURE);
        if (e instanceof OutOfMemoryError) {
            return fail(
                    "out of memory (" + e.getMessage() + "); GRADCLIP_JAVA_OPTS=-Xmx4g gives more", ExitCode.FAILURE);
        }
        return fail("internal error: " + e + "; GRADCLIP_DEBUG=1 shows where", ExitCode.FAILURE);
    }

    private static String fileMessage(FileSystemException e) {
        String reason = e.getReason() == null ? e.getClass().getSimpleName() : e.getReason();
        return e.getFile() + ": " + reason;
    }

    private int fail(@Nullable String message, int code) {
        say(String.valueOf(message));
        return code;
    }

    private void say(String message) {
        String line = Shown.escaped(Shown.shortened(message.strip(), LONGEST_LINE));
        terminal.err().println(terminal.red("gradclip: error:") + " " + line);
    }
}
