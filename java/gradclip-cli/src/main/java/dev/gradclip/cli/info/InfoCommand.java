// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.info;

import dev.gradclip.cli.shell.ExitCode;
import dev.gradclip.cli.shell.Format;
import dev.gradclip.cli.shell.Subcommand;
import dev.gradclip.cli.shell.Terminal;
import java.io.IOException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Runs {@code gradclip info}. */
@Command(
        name = "info",
        description = {
            "Shows every backend, which one is chosen and why, and what to do about one that is not available.",
            "Also the native library, the processor, the JVM and the system: what a report of a fault should hold."
        },
        footerHeading = "%nExamples:%n",
        footer = {"  gradclip info", "  gradclip info --format json"},
        exitCodeList = {"0:done", "2:wrong usage", "3:an internal error"})
public final class InfoCommand extends Subcommand {
    @Option(names = "--format", paramLabel = "text|json", description = "how to report (default: text)")
    private Format format = Format.TEXT;

    public InfoCommand(Terminal terminal) {
        super(terminal);
    }

    @Override
    public Integer call() throws IOException {
        if (format == Format.JSON) InfoReport.json(terminal);
        else InfoReport.text(terminal);
        return ExitCode.DONE;
    }
}
