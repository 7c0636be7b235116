// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.train;

import dev.gradclip.Backend;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** Trains for some steps with each way of clipping in turn and prints what it added to a step. */
@Command(
        name = "train",
        mixinStandardHelpOptions = true,
        sortOptions = false,
        description = {
            "Trains ResNet-50 on LibTorch, through JavaCPP, and times what gradient clipping adds to a step: all "
                    + "between",
            "backward() and the optimizer's step(). Each way of clipping does every step, on equal gradients that a",
            "backward pass of its own has just left, in two cases: the threshold is a tenth of the norm (bites) and "
                    + "ten",
            "times the norm (does not bite). The norms found must agree, and with --updates the losses, or the exit "
                    + "code is 1."
        },
        footer = {
            "",
            "Examples:",
            "  java -jar train.jar",
            "  java -jar train.jar --steps 10 --warmup 5 --gradients kept --frozen 0",
            "  java -jar train.jar --rules --steps 10 --warmup 3",
            "  java -jar train.jar --updates --steps 20 --warmup 40",
            "  java -jar train.jar --parity",
            "  java -jar train.jar --record run.jsonl --steps 100",
            "  java -jar train.jar --beside native --own-threads   # what LibTorch's idle threads cost others, see "
                    + "docs/javacpp.md"
        })
public final class Train implements Callable<Integer> {
    private static final int PARITY_STEPS = 50;

    @Option(names = "--steps", defaultValue = "30", description = "Steps that are timed. Default: ${DEFAULT-VALUE}.")
    private int steps;

    @Option(names = "--warmup", defaultValue = "15", description = "Steps before that. Default: ${DEFAULT-VALUE}.")
    private int warmup;

    @Option(names = "--batch", defaultValue = "2", description = "Pictures a step. Default: ${DEFAULT-VALUE}.")
    private int batch;

    @Option(
            names = "--image",
            defaultValue = "64",
            description = "Their width and height in pixels. Default: ${DEFAULT-VALUE}.")
    private int image;

    @Option(
            names = "--frozen",
            defaultValue = "15",
            description =
                    "Parameters, from the first, that get no gradient, as in fine-tuning. Default: ${DEFAULT-VALUE}.")
    private int frozen;

    @Option(
            names = "--gradients",
            defaultValue = "fresh",
            description =
                    "What becomes of gradients between steps: fresh (freed, allocated anew), kept (zeroed in place), "
                            + "bucket (views into one flat tensor, which gradclip clips as one). Default: "
                            + "${DEFAULT-VALUE}.")
    private GradientHabit gradients = GradientHabit.FRESH;

    @Option(
            names = "--beside",
            split = ",",
            defaultValue = "loop,java,native",
            description = "Who clips beside LibTorch. Default: ${DEFAULT-VALUE}.")
    private List<String> beside = List.of();

    @Option(
            names = "--cases",
            split = ",",
            defaultValue = "bites,does-not",
            description = "Where the threshold is. Default: ${DEFAULT-VALUE}.")
    private List<String> cases = List.of();

    @Option(names = "--threads", description = "Threads of LibTorch and of gradclip. Default: the processors.")
    private int threads = Backend.defaultThreads();

    @Option(names = "--own-threads", description = "gradclip works on threads of its own, not on LibTorch's.")
    private boolean ownThreads;

    @Option(
            names = "--rules",
            description = "Times each clipping rule instead, on gradients bound by units; nothing is learnt.")
    private boolean rules;

    @Option(
            names = "--updates",
            description =
                    "Times clip and update together instead, by AdamW and by SGD with momentum, on gradients of one "
                            + "pass; then trains a model by AdamW with each way and compares the losses.")
    private boolean updates;

    @Option(
            names = "--loss-steps",
            defaultValue = "8",
            description = "With --updates, steps of the training whose losses are compared; 0: none. Default: "
                    + "${DEFAULT-VALUE}.")
    private int lossSteps;

    @Option(
            names = "--parity",
            description =
                    "Compares the weights after 50 updates of this library and of LibTorch with the same formulas "
                            + "in double instead, at ResNet-50's shapes; times nothing.")
    private boolean parity;

    @Option(
            names = "--record",
            paramLabel = "FILE",
            description =
                    "Trains with a clip in each of --steps steps instead, and writes each tensor's norms into a run "
                            + "file, JSON lines or .csv, which 'gradclip report' draws; times nothing.")
    private @Nullable Path record;

    @Option(
            names = "--max-norm",
            defaultValue = "500",
            paramLabel = "M",
            description = "With --record, the threshold of the global norm, which begins near 1800. Default: "
                    + "${DEFAULT-VALUE}.")
    private double maxNorm;

    @Option(names = "--json", paramLabel = "FILE", description = "Writes the figures there too.")
    private @Nullable Path json;

    @Spec
    private CommandSpec spec = CommandSpec.create();

    private final PrintStream out;

    Train(PrintStream out) {
        this.out = out;
    }

    /** Runs it. */
    public static void main(String[] args) {
        System.exit(commandLine(System.out).execute(args));
    }

    static CommandLine commandLine(PrintStream out) {
        return new CommandLine(new Train(out))
                .setCaseInsensitiveEnumValuesAllowed(true)
                .setExecutionExceptionHandler((e, line, parsed) -> {
                    line.getErr().println("train: error: " + e.getMessage());
                    return 1;
                });
    }

    @Override
    public Integer call() throws IOException {
        requireAtLeast("--steps", steps, 1);
        requireAtLeast("--warmup", warmup, 0);
        requireAtLeast("--loss-steps", lossSteps, 0);
        requireAtLeast("--frozen", frozen, 0);
        requireAtLeast("--threads", threads, 1);
        requireAtLeast("--batch", batch, 1);
        // 32 pixels are one in the end, and what normalises over a value or two has next to no gradient.
        requireAtLeast("--image", image, 33);
        requireKnown("--beside", beside, List.of("loop", "java", "native"));
        requireKnown("--cases", cases, List.of("bites", "does-not"));
        requireRecordable();
        torch.set_num_threads(threads);
        if (parity) {
            out.printf(
                    "Distance from the formulas in double after %d steps, in units of the last place:%n%n",
                    PARITY_STEPS);
            new UpdateParity(new ResNet50().parameters(), PARITY_STEPS).run(out);
            return 0;
        }
        Training training = Training.seeded(batch, image, frozen, gradients);
        if (record != null) {
            RecordedTraining.run(out, training, record, steps, maxNorm, ownThreads ? threads : 0);
            return 0;
        }
        double norm = firstNorm(training);
        out.printf(
                Locale.ROOT,
                "ResNet-50: %d parameters, %,d elements trained; gradients %s; %d threads%s%n",
                training.parameters().size(),
                training.elements(),
                gradients.name().toLowerCase(Locale.ROOT),
                threads,
                ownThreads ? ", gradclip's its own" : "");
        if (rules) {
            out.println("Added to a step by each rule, microseconds, " + steps + " steps:");
            out.println();
            try (RuleTimes times = new RuleTimes(training, Backend.preferred(), ownThreads ? threads : 0)) {
                times.run(out, warmup, steps, norm);
            }
            return 0;
        }
        if (updates) {
            updates(training, norm);
            return 0;
        }
        out.println("Added to a step between backward() and step(), median microseconds of " + steps + " steps:");
        out.println();
        out.println(Row.HEAD);
        List<Row> rows = new ArrayList<>();
        double worst = 0;
        for (String name : cases) {
            boolean bites = name.equals("bites");
            Round round = new Round(training, bites, ways(training), steps, norm);
            for (Row row : round.run(warmup, steps)) {
                rows.add(row);
                out.println(row.markdown());
            }
            norm = round.norm();
            worst = Math.max(worst, round.libTorchOff());
        }
        out.println();
        out.printf(
                Locale.ROOT,
                "All found the same norm; LibTorch's, added in float, was off by up to %.1e of it.%n",
                worst);
        if (json != null) Files.writeString(json, json(rows));
        return 0;
    }

    /**
     * Clip and update on ResNet-50, then on many small tensors; the last line has gradclip's speed as a multiple of
     * LibTorch's.
     */
    private void updates(Training training, double norm) throws IOException {
        int own = ownThreads ? threads : 0;
        double ratio = 0;
        training.backward();
        for (boolean adam : new boolean[] {false, true}) {
            String by = adam ? "AdamW" : "SGD with momentum";
            out.printf(Locale.ROOT, "%nClip and update by %s, %d steps:%n%n", by, steps);
            try (FreshGradients fresh = new FreshGradients(training.parameters());
                    UpdateTimes times = new UpdateTimes(training.parameters(), fresh::allocate, norm, adam, own)) {
                ratio = times.run(out, warmup, steps, threads);
            }
            out.printf(Locale.ROOT, "%nThe same for 100 tensors of 1 Ki, %d steps:%n%n", 10 * steps);
            SmallTensors small = new SmallTensors(100, 1024);
            try (UpdateTimes times = new UpdateTimes(small.parameters(), small::backward, small.norm(), adam, own)) {
                // Until the JVM has compiled what is called for each tensor: a step of SGD took 199 µs after 20 steps,
                // 67 after 600 and 54 after 1500.
                times.run(out, 50 * warmup, 10 * steps, threads);
            }
        }
        if (lossSteps > 0) {
            UpdateLosses.run(
                    out,
                    () -> Training.seeded(batch, image, frozen, gradients),
                    UpdateLosses.ways(norm / 10),
                    lossSteps);
        }
        out.printf(Locale.ROOT, "%nupdate %.2f%n", ratio);
    }

    private Map<String, Supplier<Clipping>> ways(Training training) {
        Map<String, Supplier<Clipping>> ways = new LinkedHashMap<>();
        ways.put("LibTorch clip_grad_norm_", () -> new LibTorchClipping(training));
        if (beside.contains("loop")) ways.put("a loop in Java, 1 thread", () -> new LoopClipping(training));
        for (Backend backend : new Backend[] {Backend.JAVA, Backend.NATIVE}) {
            boolean wanted = beside.contains(backend.name().toLowerCase(Locale.ROOT));
            if (wanted && backend.isAvailable()) ways.put("gradclip " + backend, () -> gradclip(training, backend));
        }
        return ways;
    }

    private Clipping gradclip(Training training, Backend backend) {
        Tensor bucket = training.bucket();
        int own = ownThreads ? threads : 0;
        if (bucket != null) return new BucketClipping(bucket, backend, own);
        return new GradclipClipping(training, backend, own);
    }

    @SuppressWarnings("try") // a scope is there to be closed
    private static double firstNorm(Training training) {
        try (PointerScope scope = new PointerScope();
                Clipping first = new LibTorchClipping(training)) {
            training.backward();
            return first.clip(1e30);
        }
    }

    /** Before anything is trained, which takes minutes. */
    private void requireRecordable() {
        if (!(maxNorm > 0)) {
            throw new ParameterException(spec.commandLine(), "--max-norm must be above 0, but is " + maxNorm);
        }
        if (record == null) return;
        if (parity || rules || updates) {
            throw new ParameterException(
                    spec.commandLine(), "--record goes without --parity, --rules and --updates, which train otherwise");
        }
        if (Files.exists(record)) {
            throw new ParameterException(
                    spec.commandLine(), "--record: " + record + " is there already; delete it, or give another name");
        }
    }

    private void requireAtLeast(String option, int value, int least) {
        if (value < least) {
            throw new ParameterException(
                    spec.commandLine(), option + " must be " + least + " or more, but is " + value);
        }
    }

    private void requireKnown(String option, List<String> found, List<String> known) {
        for (String one : found) {
            if (!known.contains(one)) {
                throw new ParameterException(
                        spec.commandLine(), option + " takes of " + known + ", but got '" + one + "'");
            }
        }
    }

    private static String json(List<Row> rows) {
        return rows.stream().map(Row::json).collect(Collectors.joining(",\n  ", "[\n  ", "\n]\n"));
    }
}
