// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.demo;

import dev.gradclip.cli.shell.BackendOptions;
import dev.gradclip.cli.shell.BadFileException;
import dev.gradclip.cli.shell.ExitCode;
import dev.gradclip.cli.shell.Numbers;
import dev.gradclip.cli.shell.OutputTarget;
import dev.gradclip.cli.shell.Printable;
import dev.gradclip.cli.shell.Progress;
import dev.gradclip.cli.shell.Subcommand;
import dev.gradclip.cli.shell.Terminal;
import dev.gradclip.demo.BadImagesException;
import dev.gradclip.demo.Demo;
import dev.gradclip.demo.DemoPlan;
import dev.gradclip.demo.DemoResult;
import dev.gradclip.demo.Framework;
import dev.gradclip.demo.Frameworks;
import dev.gradclip.demo.Thresholds;
import java.io.IOException;
import java.nio.file.Path;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Runs {@code gradclip demo}. */
@Command(
        name = "demo",
        sortOptions = false,
        description = {
            "Shows what clipping does to training: two small experiments, with and without, in about 45 seconds.",
            "",
            "digits: an LSTM reads real hand-written digits row by row, by plain SGD at a learning rate of 20. That "
                    + "is about ten times too much: without clipping it learns next to nothing; clipped by value or "
                    + "by the global norm it learns. (At a rate of 2 it learns without clipping too: clipping makes "
                    + "the rate matter less.)",
            "",
            "temporal-order: a tanh RNN is to tell which of A and B came first and which second, among other "
                    + "symbols. The longer the sequence, the more a gradient explodes on its way back through time. "
                    + "How often SGD solves it without clipping and with the global norm clipped to 1, after "
                    + "Pascanu, Mikolov, Bengio 2013 (arXiv 1211.5063).",
            "",
            "The networks are a few hundred lines on plain arrays. Where gradients are clipped, the call of this "
                    + "library that clips them updates the weights, too. The same seed gives the same "
                    + "numbers on every backend, machine and number of threads.",
            "",
            "--framework trains a network of LibTorch (torch), DJL or DL4J on the digits instead, clipped by the "
                    + "adapter that is made for it, on the framework's own threads. Its numbers are the framework's, "
                    + "on this machine."
        },
        customSynopsis = {
            "gradclip demo [digits] [temporal-order] [--seed N] [--seconds S]",
            "              [--data DIR] [--framework torch|djl|dl4j] [--png FILE]",
            "              [--json FILE] [--record DIR] [--force]",
            "              [--backend auto|java|native|cuda] [--threads N]",
            "       gradclip demo --cliff FILE",
            "       gradclip demo --thresholds FILE [--seed N] [--seconds S] [--backend …]"
        },
        footerHeading = "%nData:%n",
        footer = {
            "  UCI Optical Recognition of Handwritten Digits, test part",
            "  (E. Alpaydin, C. Kaynak, 1998), CC BY 4.0",
            "",
            "JSON:",
            "  written_by, version, backend, seed, seconds",
            "  digits, temporal_order  null where left out; of both: learning_rate, and runs",
            "      with clipping, steps, final_loss (mean of the last 50 steps),",
            "      clipped_steps and largest_norm (before clipping)",
            "  digits: framework (null for the demo's own), model, source, train and test",
            "      images; of a run: test_accuracy, and by step losses and norms",
            "  temporal_order: most_updates; of a run: length, number run, error in 1000",
            "      new sequences, solved; success: by clipping and length the rate of runs",
            "      that solved it",
            "",
            "Examples:",
            "  gradclip demo",
            "  gradclip demo digits --data mnist/",
            "  gradclip demo digits --record runs",
            "  gradclip demo --cliff cliff.png",
            "  gradclip demo --thresholds thresholds.png",
            "  gradclip demo --framework djl",
            "  gradclip demo temporal-order --seed 7 --seconds 600"
        },
        exitCodeList = {
            "0:done",
            "2:wrong usage, DIR holds no IDX files, or FILE is there and not by this command",
            "3:writing failed, the backend is not available, the framework is not built, an internal error"
        })
public final class DemoCommand extends Subcommand {
    private static final double FEWEST_SECONDS = 0.1;
    private static final double MOST_SECONDS = 86_400;

    /** An experiment that can be asked for. */
    private enum Experiment {
        DIGITS,
        TEMPORAL_ORDER
    }

    @Parameters(arity = "0..2", paramLabel = "EXPERIMENT", description = "digits or temporal-order (default: both)")
    private List<String> names = List.of();

    @Option(names = "--seed", paramLabel = "N", description = "another seed, other numbers (default: 1)")
    private long seed = 1;

    @Option(
            names = "--seconds",
            paramLabel = "S",
            description =
                    "how much to train: as much as takes both experiments about so long on two processors (default: "
                            + "45)")
    private double seconds = 45;

    @Option(
            names = "--data",
            paramLabel = "DIR",
            description =
                    "digits from the four IDX files of MNIST or Fashion-MNIST in this folder, as they are or in .gz, "
                            + "instead of those that come with the command; 6000 of them, and 1000 for the test")
    private @Nullable Path data;

    @Option(
            names = "--framework",
            paramLabel = "torch|djl|dl4j",
            description = "who trains on the digits; built apart, as the error tells where it is not")
    private @Nullable String framework;

    @Option(names = "--png", paramLabel = "FILE", description = "where to draw the curves (default: demo.png)")
    private Path png = Path.of("demo.png");

    @Option(names = "--json", paramLabel = "FILE", description = "where to write all figures (default: demo.json)")
    private Path json = Path.of("demo.json");

    @Option(
            names = "--record",
            paramLabel = "DIR",
            description =
                    "also write a run file for each way to clip the digits into this folder, with the norm of each "
                            + "tensor in each step, for 'gradclip report' and 'gradclip watch'. A clip by value "
                            + "measures no norm, so its file has none")
    private @Nullable Path record;

    @Option(
            names = "--cliff",
            paramLabel = "FILE",
            description =
                    "train nothing, but draw what a clip does to a step at a wall of the loss: a network of one unit "
                            + "over its two weights, after figure 6 of Pascanu 2013")
    private @Nullable Path cliff;

    @Option(
            names = "--thresholds",
            paramLabel = "FILE",
            description =
                    "instead, draw the thresholds that rules find from earlier norms, over the norms of one training, and "
                            + "tell how the digits train by each of them, at several learning rates and with faulty "
                            + "gradients: 144 short trainings")
    private @Nullable Path thresholds;

    @Option(names = "--force", description = "replace files that an earlier demo did not write, and run files")
    private boolean force;

    @Mixin
    private final BackendOptions work = new BackendOptions();

    public DemoCommand(Terminal terminal) {
        super(terminal);
    }

    @Override
    public Integer call() throws IOException {
        if (cliff != null) {
            if (!names.isEmpty() || framework != null || record != null || thresholds != null) {
                throw usage("--cliff trains nothing, so it goes with no experiment, --framework, --record or "
                        + "--thresholds");
            }
            CliffChart.write(OutputTarget.of(cliff), terminal);
            return ExitCode.DONE;
        }
        if (thresholds != null) {
            if (!names.isEmpty() || framework != null || record != null || data != null) {
                throw usage(
                        "--thresholds has trainings of its own, so it goes with no experiment, --data, --framework or "
                                + "--record");
            }
            checkSeconds();
            ThresholdChart.write(OutputTarget.of(thresholds), new Thresholds(seed, seconds, work.backend()), terminal);
            return ExitCode.DONE;
        }
        Set<Experiment> experiments = experiments();
        if (framework != null) checkFramework(framework);
        checkSeconds();
        boolean digits = experiments.contains(Experiment.DIGITS);
        if (data != null && !digits) throw usage("--data is for digits, which is not asked for");
        if (record != null && !digits) throw usage("--record is for digits, which is not asked for");
        if (record != null && framework != null) {
            throw usage("--record is for the demo's own network, not for " + framework);
        }
        DemoFiles files = DemoFiles.of(png, json, force);
        Framework trainer = framework == null ? null : Frameworks.load(framework);
        int threads = work.threads() == 0 ? Runtime.getRuntime().availableProcessors() : work.threads();
        DemoRecords records = record == null ? null : DemoRecords.of(record, Demo.digitsClippings(), force);
        DemoPlan plan = new DemoPlan(
                seed,
                seconds,
                work.backend(),
                // Each framework has threads of its own, and a seed for the whole process.
                trainer == null ? threads : 1,
                digits,
                experiments.contains(Experiment.TEMPORAL_ORDER),
                trainer,
                data,
                records == null ? null : records::listener);
        long start = System.nanoTime();
        DemoResult result;
        try {
            Demo demo = demo(plan);
            try (Progress progress = Progress.ofWork(terminal, "demo", demo.cost())) {
                result = demo.run(progress::advance);
            }
        } finally {
            if (records != null) records.close();
        }
        DemoText.print(result, (System.nanoTime() - start) / 1e9, terminal);
        files.write(result, terminal);
        if (records != null) {
            for (Path file : records.files()) terminal.out().println("written: " + Printable.escaped(file.toString()));
        }
        return ExitCode.DONE;
    }

    private static Demo demo(DemoPlan plan) throws IOException {
        try {
            return new Demo(plan);
        } catch (BadImagesException e) {
            throw new BadFileException(String.valueOf(e.getMessage()), e);
        }
    }

    private void checkSeconds() {
        if (seconds >= FEWEST_SECONDS && seconds <= MOST_SECONDS) return;
        throw usage("--seconds must be 0.1 to 86400, but is " + Numbers.typed(seconds));
    }

    private Set<Experiment> experiments() {
        if (names.isEmpty()) return framework == null ? EnumSet.allOf(Experiment.class) : EnumSet.of(Experiment.DIGITS);
        Set<Experiment> experiments = EnumSet.noneOf(Experiment.class);
        for (String name : names) experiments.add(experiment(name));
        return experiments;
    }

    private void checkFramework(String name) {
        if (!Frameworks.names().contains(name)) {
            throw usage("'" + name + "' is no framework that a demo is built for; there are "
                    + String.join(", ", Frameworks.names()));
        }
        if (experiments().contains(Experiment.TEMPORAL_ORDER)) {
            throw usage("--framework is for digits; temporal-order has a network of its own");
        }
        if (work.isChosen()) throw usage("--backend and --threads are for the demo's own networks, not for " + name);
    }

    private Experiment experiment(String name) {
        for (Experiment experiment : Experiment.values()) {
            if (experiment.name().replace('_', '-').equalsIgnoreCase(name)) return experiment;
        }
        throw usage("'" + name + "' is no experiment; there are digits and temporal-order");
    }
}
