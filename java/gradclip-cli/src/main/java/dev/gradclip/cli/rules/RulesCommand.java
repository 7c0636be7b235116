// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.rules;

import dev.gradclip.cli.shell.ExitCode;
import dev.gradclip.cli.shell.Format;
import dev.gradclip.cli.shell.Terminal;
import dev.gradclip.cli.shell.Version;
import java.io.IOException;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code gradclip rules}. */
@Command(
        name = "rules",
        mixinStandardHelpOptions = true,
        versionProvider = Version.class,
        sortOptions = false,
        description =
                "Lists the rules that 'gradclip clip --rule' knows: formula, parameters with their defaults, and whose"
                        + " convention each is. With NAME, one rule and how it is given.",
        footerHeading = "%nExamples:%n",
        footer = {"  gradclip rules", "  gradclip rules adaptive", "  gradclip rules --format json"},
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {"0:done", "2:wrong usage, or there is no such rule", "3:an internal error"})
@SuppressWarnings("NullAway.Init") // picocli sets the command before it calls
public final class RulesCommand implements Callable<Integer> {
    @Spec
    private CommandSpec command;

    @Parameters(arity = "0..1", paramLabel = "NAME", description = "one rule")
    private @Nullable String name;

    @Option(names = "--format", paramLabel = "text|json", description = "how to report (default: text)")
    private Format format = Format.TEXT;

    private final Terminal terminal;

    public RulesCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public Integer call() throws IOException {
        List<RuleSpec> rules = name == null ? Rules.ALL : List.of(find(command, name));
        if (format == Format.JSON) RulesReport.json(terminal, rules);
        else if (name == null) RulesReport.table(terminal);
        else RulesReport.details(terminal, rules.get(0));
        return ExitCode.DONE;
    }

    /**
     * Finds a rule by its name.
     *
     * @throws ParameterException listing the known ones
     */
    public static RuleSpec find(CommandSpec command, String name) {
        try {
            return Rules.find(name);
        } catch (IllegalArgumentException e) {
            throw new ParameterException(command.commandLine(), String.valueOf(e.getMessage()), e);
        }
    }
}
