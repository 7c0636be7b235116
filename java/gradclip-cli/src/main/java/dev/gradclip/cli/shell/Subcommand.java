// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.shell;

import java.util.concurrent.Callable;
import picocli.CommandLine.Command;

/** A command of gradclip. It writes to a terminal and returns an {@link ExitCode}. */
@Command(mixinStandardHelpOptions = true, versionProvider = Version.class, exitCodeListHeading = "%nExit codes:%n")
public abstract class Subcommand extends Refusals implements Callable<Integer> {
    protected final Terminal terminal;

    protected Subcommand(Terminal terminal) {
        this.terminal = terminal;
    }
}
