// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.parity;

import dev.gradclip.Backend;
import dev.gradclip.cli.rules.RuleSpec;
import dev.gradclip.cli.rules.Rules;
import dev.gradclip.cli.shell.BackendOptions;
import dev.gradclip.cli.shell.ExitCode;
import dev.gradclip.cli.shell.Format;
import dev.gradclip.cli.shell.JsonReport;
import dev.gradclip.cli.shell.Progress;
import dev.gradclip.cli.shell.Subcommand;
import dev.gradclip.cli.shell.Table;
import dev.gradclip.cli.shell.Terminal;
import dev.gradclip.cli.shell.Version;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Runs {@code gradclip parity}. */
@Command(
        name = "parity",
        sortOptions = false,
        description = {
            "Checks that every backend that this machine has gives the bits of plain Java.",
            "Every rule with every type, policy, norm and unscaling, on gradients made from a seed: ordinary, tiny, "
                    + "huge, zeros, NaN and infinities, of lengths around every boundary. Compared are all elements, "
                    + "norm, coefficient and what the result says. Power norms (norm-type 3) are held to 1e-12, for "
                    + "pow differs between math libraries."
        },
        footerHeading = "%nJSON:%n",
        footer = {
            "  version, seed, reference, simd; agrees",
            "  backends     by name: compared, or why it is not available",
            "  rules        by rule and backend: cases compared, and how many differ",
            "  differences  the first five, in full",
            "",
            "Examples:",
            "  gradclip parity",
            "  gradclip parity --backend cuda --rule adaptive",
            "  gradclip parity --quick --format json"
        },
        exitCodeList = {
            "0:all agree",
            "2:wrong usage, or there is no such rule",
            "3:the backend is not available, an internal error",
            "4:a backend gives other bits"
        })
public final class ParityCommand extends Subcommand {
    @Option(
            names = "--backend",
            paramLabel = "auto|native|cuda",
            description = "whose bits are compared with plain Java's (default: auto, all that are available)")
    private BackendOptions.Choice choice = BackendOptions.Choice.AUTO;

    @Option(names = "--rule", paramLabel = "NAME", description = "one rule (default: all; 'gradclip rules' lists them)")
    private @Nullable String rule;

    @Option(names = "--seed", paramLabel = "N", description = "of the gradients (default: 1)")
    private long seed = 1;

    @Option(names = "--quick", description = "a fifth of the cases")
    private boolean quick;

    @Option(names = "--format", paramLabel = "text|json", description = "how to report (default: text)")
    private Format format = Format.TEXT;

    public ParityCommand(Terminal terminal) {
        super(terminal);
    }

    @Override
    public Integer call() throws IOException {
        List<ParityCase> cases = new ArrayList<>();
        for (RuleSpec entry : rule == null ? Rules.ALL : List.of(checked(Rules::find, rule)))
            cases.addAll(ParityCase.of(entry, seed, quick));
        List<Backend> backends = BackendOptions.chosen(choice, Backend.NATIVE, Backend.CUDA);
        Parity parity = new Parity(
                ParitySide.of(Backend.JAVA),
                backends.stream().map(ParitySide::of).toList());
        try (Progress progress = Progress.ofSteps(terminal, "parity", cases.size())) {
            parity.run(cases, () -> progress.advance(1));
        }
        if (format == Format.JSON) json(parity, backends);
        else text(parity, backends);
        return parity.agrees() ? ExitCode.DONE : ExitCode.DIFFERENT;
    }

    private void text(Parity parity, List<Backend> backends) {
        List<String> header = new ArrayList<>(List.of("rule"));
        for (Backend backend : backends) header.add(BackendOptions.name(backend));
        Table table = new Table(1, header.toArray(String[]::new));
        for (String name : parity.tallies().keySet()) {
            List<String> row = new ArrayList<>(List.of(name));
            for (Backend backend : backends) row.add(cell(parity.tally(name, BackendOptions.name(backend))));
            table.add(row);
        }
        if (!backends.isEmpty()) table.lines().forEach(terminal.out()::println);
        for (Backend backend : List.of(Backend.NATIVE, Backend.CUDA)) {
            if (!backend.isAvailable()) {
                terminal.out().println(BackendOptions.name(backend) + " is not compared: " + backend.reason());
            }
        }
        for (String difference : parity.differences()) terminal.out().println(difference);
        terminal.out().println(closing(parity, backends));
    }

    private static String cell(Parity.Tally tally) {
        return tally.different() == 0
                ? tally.cases() + " agree"
                : tally.different() + " of " + tally.cases() + " differ";
    }

    private String closing(Parity parity, List<Backend> backends) {
        if (backends.isEmpty()) return "plain Java is all there is: nothing to compare.";
        return parity.agrees()
                ? "Every backend gives the bits of plain Java (native: " + BackendOptions.simd()
                        + "; power norms to 1e-12; seed " + seed + ")."
                : "Backends differ; please report this with the lines above and what 'gradclip info' says.";
    }

    private void json(Parity parity, List<Backend> backends) throws IOException {
        try (JsonReport json = new JsonReport(terminal.out())) {
            json.put("version", Version.number());
            json.put("seed", seed);
            json.put("reference", "java");
            json.put("simd", BackendOptions.simd());
            json.put("agrees", parity.agrees());
            json.object("backends", () -> {
                for (Backend backend : List.of(Backend.NATIVE, Backend.CUDA)) {
                    boolean isCompared = backends.contains(backend);
                    String why = backend.isAvailable() ? "not asked for" : String.valueOf(backend.reason());
                    json.put(BackendOptions.name(backend), isCompared ? "compared" : why);
                }
            });
            json.object("rules", () -> {
                for (Map.Entry<String, Map<String, Parity.Tally>> entry :
                        parity.tallies().entrySet()) {
                    json.object(entry.getKey(), () -> tallies(json, entry.getValue()));
                }
            });
            json.array("differences", parity.differences());
        }
    }

    private static void tallies(JsonReport json, Map<String, Parity.Tally> tallies) throws IOException {
        for (Map.Entry<String, Parity.Tally> tally : tallies.entrySet()) {
            json.object(tally.getKey(), () -> {
                json.put("cases", tally.getValue().cases());
                json.put("different", tally.getValue().different());
            });
        }
    }
}
