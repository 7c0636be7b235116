// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli;

import dev.gradclip.NonFinitePolicy;
import dev.gradclip.NormType;
import dev.gradclip.cli.bench.BenchCommand;
import dev.gradclip.cli.bench.BenchUpdate;
import dev.gradclip.cli.clip.ClipCommand;
import dev.gradclip.cli.demo.DemoCommand;
import dev.gradclip.cli.info.InfoCommand;
import dev.gradclip.cli.inspect.InspectCommand;
import dev.gradclip.cli.inspect.InspectOrder;
import dev.gradclip.cli.parity.ParityCommand;
import dev.gradclip.cli.report.ReportCommand;
import dev.gradclip.cli.rules.NormTypes;
import dev.gradclip.cli.rules.RulesCommand;
import dev.gradclip.cli.safetensors.NamePattern;
import dev.gradclip.cli.shell.BackendOptions;
import dev.gradclip.cli.shell.ExitCode;
import dev.gradclip.cli.shell.Failures;
import dev.gradclip.cli.shell.Format;
import dev.gradclip.cli.shell.Numbers;
import dev.gradclip.cli.shell.Terminal;
import dev.gradclip.cli.watch.WatchCommand;
import java.io.IOException;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import picocli.CommandLine;
import picocli.CommandLine.Help.Ansi;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** The entry point of the command; {@code gradclip --help} tells what it does. */
public final class Main {
    private Main() {}

    public static void main(String[] args) {
        System.exit(run(args, Terminal.ofProcess()));
    }

    /**
     * Runs one command in this process.
     *
     * @return the exit code
     */
    public static int run(String[] args, PrintStream out, PrintStream err) {
        return run(args, Terminal.plain(out, err));
    }

    private static int run(String[] args, Terminal terminal) {
        Failures failures = new Failures(terminal);
        int code;
        try {
            code = commandLine(terminal, failures).execute(args);
        } catch (Exception | LinkageError | OutOfMemoryError | StackOverflowError e) {
            code = failures.report(e);
        }
        // A stream of this kind keeps silent when a pipe breaks or a disk is full.
        if (terminal.out().checkError() && code == ExitCode.DONE) {
            code = failures.report(new IOException(Terminal.UNWRITABLE));
        }
        terminal.err().flush();
        return code;
    }

    private static CommandLine commandLine(Terminal terminal, Failures failures) {
        CommandLine root = new CommandLine(new GradclipCommand());
        root.addSubcommand("demo", new DemoCommand(terminal));
        root.addSubcommand("clip", new ClipCommand(terminal));
        root.addSubcommand("rules", new RulesCommand(terminal));
        root.addSubcommand("inspect", new InspectCommand(terminal));
        root.addSubcommand("report", new ReportCommand(terminal));
        root.addSubcommand("watch", new WatchCommand(terminal));
        root.addSubcommand("bench", new BenchCommand(terminal));
        root.addSubcommand("parity", new ParityCommand(terminal));
        root.addSubcommand("info", new InfoCommand(terminal));
        return root.setOut(writer(terminal.out()))
                .setErr(writer(terminal.err()))
                .setColorScheme(CommandLine.Help.defaultColorScheme(terminal.colours() ? Ansi.ON : Ansi.OFF))
                .registerConverter(BackendOptions.Choice.class, word(BackendOptions.Choice.class))
                .registerConverter(Integer.class, text -> (int) whole(text, Integer.MIN_VALUE, Integer.MAX_VALUE))
                .registerConverter(int.class, text -> (int) whole(text, Integer.MIN_VALUE, Integer.MAX_VALUE))
                .registerConverter(long.class, text -> whole(text, Long.MIN_VALUE, Long.MAX_VALUE))
                .registerConverter(double.class, read(Numbers::parse))
                .registerConverter(Double.class, read(Numbers::parse))
                .registerConverter(NormType.class, read(NormTypes::parse))
                .registerConverter(NamePattern.class, read(NamePattern::of))
                .registerConverter(BenchUpdate.class, word(BenchUpdate.class))
                .registerConverter(Format.class, word(Format.class))
                .registerConverter(InspectOrder.class, word(InspectOrder.class))
                .registerConverter(NonFinitePolicy.class, word(NonFinitePolicy.class))
                .setExpandAtFiles(false)
                .setUsageHelpWidth(80)
                .setParameterExceptionHandler((e, arguments) -> failures.reportUsage(e))
                .setExecutionExceptionHandler((e, line, result) -> failures.report(e));
    }

    /** Makes picocli say what is wrong with a text, and nothing more. */
    private static <T> ITypeConverter<T> read(Function<String, T> parse) {
        return text -> {
            try {
                return parse.apply(text);
            } catch (IllegalArgumentException e) {
                throw new TypeConversionException(String.valueOf(e.getMessage()));
            }
        };
    }

    /** Reads the name of an enum's constant as people type it, in any case. */
    private static <E extends Enum<E>> ITypeConverter<E> word(Class<E> type) {
        return text -> {
            for (E constant : type.getEnumConstants()) if (constant.name().equalsIgnoreCase(text)) return constant;
            throw new TypeConversionException("'" + text + "' is not one of "
                    + Stream.of(type.getEnumConstants())
                            .map(constant -> constant.name().toLowerCase(Locale.ROOT))
                            .collect(Collectors.joining(", ")));
        };
    }

    private static long whole(String text, long least, long most) {
        try {
            long value = Long.parseLong(text);
            if (value >= least && value <= most) return value;
        } catch (NumberFormatException e) {
            // The same advice as for one that is too large.
        }
        throw new TypeConversionException("'" + text + "' is not a whole number, or one too large");
    }

    private static PrintWriter writer(PrintStream stream) {
        return new PrintWriter(stream, true, StandardCharsets.UTF_8);
    }
}
