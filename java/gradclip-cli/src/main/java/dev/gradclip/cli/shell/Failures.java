// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.shell;

import java.io.IOException;
import java.nio.file.FileSystemException;
import java.util.List;
import java.util.Set;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.UnmatchedArgumentException;

/** Turns what went wrong into an exit code and at most three lines. */
public final class Failures {
    private static final int LONGEST_LINE = 600;

    private final Terminal terminal;

    public Failures(Terminal terminal) {
        this.terminal = terminal;
    }

    public int reportUsage(ParameterException e) {
        say(fault(e));
        terminal.err().println("'" + e.getCommandLine().getCommandSpec().qualifiedName() + " --help' tells the usage.");
        return ExitCode.USAGE;
    }

    /** Returns picocli's words, unless they count arguments from 0 or call an option's value another option. */
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

    public int report(Throwable e) {
        if (e instanceof ParameterException usage) return reportUsage(usage);
        if ("1".equals(System.getenv("GRADCLIP_DEBUG"))) e.printStackTrace(terminal.err());
        say(message(e));
        if (e instanceof NonFiniteFileException) return ExitCode.NON_FINITE;
        return e instanceof BadFileException ? ExitCode.USAGE : ExitCode.FAILURE;
    }

    /** Says what happened, for people. */
    public static String message(Throwable e) {
        if (e instanceof FileSystemException file) return file.getFile() + ": " + Reason.of(file);
        if (e instanceof OutOfMemoryError) {
            return "out of memory (" + e.getMessage() + "); GRADCLIP_JAVA_OPTS=-Xmx4g gives more";
        }
        if (e instanceof IOException) return String.valueOf(e.getMessage());
        return "internal error: " + e + "; GRADCLIP_DEBUG=1 shows where";
    }

    private void say(String message) {
        String line = Printable.escaped(Printable.shortened(message.strip(), LONGEST_LINE));
        terminal.err().println(terminal.red("gradclip: error:") + " " + line);
    }
}
