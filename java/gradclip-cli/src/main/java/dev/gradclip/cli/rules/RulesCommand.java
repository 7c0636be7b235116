// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.rules;

import dev.gradclip.cli.shell.ExitCode;
import dev.gradclip.cli.shell.Format;
import dev.gradclip.cli.shell.Subcommand;
import dev.gradclip.cli.shell.Terminal;
import java.io.IOException;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Runs {@code gradclip rules}. */
@Command(
        name = "rules",
        sortOptions = false,
        description =
                "Lists the rules that 'gradclip clip --rule' knows: formula, parameters with their defaults, and whose"
                        + " convention each is. With NAME, one rule and how it is given.",
        footerHeading = "%nExamples:%n",
        footer = {"  gradclip rules", "  gradclip rules adaptive", "  gradclip rules --format json"},
        exitCodeList = {"0:done", "2:wrong usage, or there is no such rule", "3:an internal error"})
public final class RulesCommand extends Subcommand {
    @Parameters(arity = "0..1", paramLabel = "NAME", description = "one rule")
    private @Nullable String name;

    @Option(names = "--format", paramLabel = "text|json", description = "how to report (default: text)")
    private Format format = Format.TEXT;

    public RulesCommand(Terminal terminal) {
        super(terminal);
    }

    @Override
    public Integer call() throws IOException {
        List<RuleSpec> rules = name == null ? Rules.ALL : List.of(checked(Rules::find, name));
        if (format == Format.JSON) RulesReport.json(terminal, rules);
        else if (name == null) RulesReport.table(terminal);
        else RulesReport.details(terminal, rules.get(0));
        return ExitCode.DONE;
    }
}
