// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.parity;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.gradclip.Backend;
import dev.gradclip.cli.rules.RuleSpec;
import dev.gradclip.cli.rules.Rules;
import dev.gradclip.cli.rules.RulesCommand;
import dev.gradclip.cli.shell.BackendOptions;
import dev.gradclip.cli.shell.ExitCode;
import dev.gradclip.cli.shell.Format;
import dev.gradclip.cli.shell.JsonReport;
import dev.gradclip.cli.shell.Progress;
import dev.gradclip.cli.shell.Table;
import dev.gradclip.cli.shell.Terminal;
import dev.gradclip.cli.shell.Version;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code gradclip parity}. */
@Command(
        name = "parity",
        mixinStandardHelpOptions = true,
        versionProvider = Version.class,
        sortOptions = false,
        description = {
            "Checks that every backend that this machine has gives the bits of plain Java.",
            "Every rule with every type, policy, norm and unscaling, on gradients made from a seed: ordinary, tiny, "
                    + "huge, zeros, "
                    + "NaN and infinities, of lengths around every boundary. Compared are all elements, norm, "
                    + "coefficient and what "
                    + "the result says. Power norms (norm-type 3) are held to 1e-12, for pow differs between math "
                    + "libraries."
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
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {
            "0:all agree",
            "2:wrong usage, or there is no such rule",
            "3:the backend is not available, an internal error",
            "4:a backend gives other bits"
        })
@SuppressWarnings("NullAway.Init") // picocli sets the command before it calls
public final class ParityCommand implements Callable<Integer> {
    @Spec
    private CommandSpec command;

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

    private final Terminal terminal;

    public ParityCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public Integer call() throws IOException {
        List<ParityCase> cases = new ArrayList<>();
        for (RuleSpec entry : rule == null ? Rules.ALL : List.of(RulesCommand.find(command, rule)))
            cases.addAll(ParityCase.of(entry, seed, quick));
        List<Backend> backends = backends();
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

    private List<Backend> backends() throws IOException {
        if (choice != BackendOptions.Choice.AUTO) return List.of(BackendOptions.chosen(choice));
        return Stream.of(Backend.NATIVE, Backend.CUDA)
                .filter(Backend::isAvailable)
                .toList();
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
                ? "Every backend gives the bits of plain Java (native: " + simd() + "; power norms to 1e-12; seed "
                        + seed + ")."
                : "Backends differ; please report this with the lines above and what 'gradclip info' says.";
    }

    private static String simd() {
        return Backend.NATIVE.details().getOrDefault("simd", "none");
    }

    private void json(Parity parity, List<Backend> backends) throws IOException {
        try (JsonReport report = new JsonReport(terminal.out())) {
            JsonGenerator json = report.generator();
            json.writeStartObject();
            json.writeStringField("version", Version.number());
            json.writeNumberField("seed", seed);
            json.writeStringField("reference", "java");
            json.writeStringField("simd", simd());
            json.writeBooleanField("agrees", parity.agrees());
            json.writeObjectFieldStart("backends");
            for (Backend backend : List.of(Backend.NATIVE, Backend.CUDA)) {
                boolean isCompared = backends.contains(backend);
                String why = backend.isAvailable() ? "not asked for" : String.valueOf(backend.reason());
                json.writeStringField(BackendOptions.name(backend), isCompared ? "compared" : why);
            }
            json.writeEndObject();
            json.writeObjectFieldStart("rules");
            for (Map.Entry<String, Map<String, Parity.Tally>> entry :
                    parity.tallies().entrySet()) {
                json.writeObjectFieldStart(entry.getKey());
                for (Map.Entry<String, Parity.Tally> tally : entry.getValue().entrySet()) {
                    json.writeObjectFieldStart(tally.getKey());
                    json.writeNumberField("cases", tally.getValue().cases());
                    json.writeNumberField("different", tally.getValue().different());
                    json.writeEndObject();
                }
                json.writeEndObject();
            }
            json.writeEndObject();
            json.writeArrayFieldStart("differences");
            for (String difference : parity.differences()) json.writeString(difference);
            json.writeEndArray();
            json.writeEndObject();
        }
    }
}
