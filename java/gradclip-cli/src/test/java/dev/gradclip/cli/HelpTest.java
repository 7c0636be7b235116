// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli;

import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.cli.bench.BenchCommand;
import dev.gradclip.cli.clip.ClipCommand;
import dev.gradclip.cli.demo.DemoCommand;
import dev.gradclip.cli.info.InfoCommand;
import dev.gradclip.cli.inspect.InspectCommand;
import dev.gradclip.cli.parity.ParityCommand;
import dev.gradclip.cli.report.ReportCommand;
import dev.gradclip.cli.rules.RulesCommand;
import dev.gradclip.cli.shell.ExitCode;
import dev.gradclip.cli.watch.WatchCommand;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine.Command;

/** Every help on a terminal of 80 columns: nothing is cut in mid-word, and what is laid out in columns stays so. */
class HelpTest {
    @ParameterizedTest
    @ValueSource(
            classes = {
                GradclipCommand.class,
                DemoCommand.class,
                ClipCommand.class,
                RulesCommand.class,
                InspectCommand.class,
                BenchCommand.class,
                ParityCommand.class,
                ReportCommand.class,
                WatchCommand.class,
                InfoCommand.class
            })
    void fitsATerminal(Class<?> type) {
        Command command = Objects.requireNonNull(type.getAnnotation(Command.class));
        String help = command.name().equals("gradclip")
                ? Outcome.of("--help").expect(ExitCode.DONE).out()
                : Outcome.of(command.name(), "--help").expect(ExitCode.DONE).out();
        List<String> lines = help.lines().toList();
        for (String line : lines) assertTrue(line.length() <= 80, line);
        Stream.concat(Stream.of(command.footer()), Stream.of(command.customSynopsis()))
                .forEach(line -> assertTrue(lines.stream().anyMatch(said -> said.endsWith(line)), line));
    }

    @ParameterizedTest
    @ValueSource(strings = {"rules", "rules adaptive", "rules global-norm", "rules normalize-above", "rules value"})
    void whatIsListedFits(String command) {
        for (String line : Outcome.of((Object[]) command.split(" ", -1))
                .expect(ExitCode.DONE)
                .out()
                .lines()
                .toList()) {
            assertTrue(line.length() <= 80, line);
        }
    }
}
