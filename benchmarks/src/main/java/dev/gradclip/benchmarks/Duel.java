// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import dev.gradclip.Backend;
import dev.gradclip.DType;
import dev.gradclip.measure.Shape;
import dev.gradclip.measure.Shapes;
import java.io.IOException;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.ServiceLoader;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;

/**
 * Times contenders in one process, in turn, so that all see the machine in the same minutes. Each turn finds fresh
 * gradients; what writes them is not timed. Every contender is checked in every case before it is timed.
 */
@Command(
        name = "duel",
        mixinStandardHelpOptions = true,
        sortOptions = false,
        exitCodeOnExecutionException = 3,
        description = "Prints a line of JSON for each contender and case; the peers are those on the class path.")
public final class Duel implements Callable<Integer> {
    /** Ends the label of a case whose calls mostly find what the contender's own last call left. */
    static final String AGAIN = " again";

    private static final int UNTIMED_ROUNDS = 2;
    private static final int FEWEST_ROUNDS = UNTIMED_ROUNDS + 5;
    private static final int MOST_AGAIN = 1000;
    private static final double WARM_UP = 0.3;

    @Option(
            names = "--workload",
            defaultValue = "1x1048576",
            description = "COUNTxLENGTH, resnet50, gpt2, llama8b, nemo-mixed, nemo-embedding or nemo-matrices.")
    private String workload = "";

    @Option(names = "--dtype", defaultValue = "f32", description = "f32, bf16 or f16; NeMo's workloads have their own.")
    private String dtype = "";

    @Option(
            names = "--bytes",
            defaultValue = "1073741824",
            description = "A workload with a name is scaled down to so many. Default: ${DEFAULT-VALUE}.")
    private long bytes;

    @Option(
            names = "--own",
            split = ",",
            defaultValue = "native",
            description = "Of native, heap (native on arrays), java, loop; default: native.")
    private List<String> own = List.of();

    @Option(
            names = "--cases",
            split = ",",
            defaultValue = "norm,bites,does not,clamp",
            description = "What to time: of norm, bites, does not, clamp, per tensor. Default: all but the last.")
    private List<String> cases = List.of();

    @Option(names = "--seconds", defaultValue = "4", description = "For each case, all contenders together.")
    private double seconds;

    @Option(
            names = "--again",
            paramLabel = "TIMES",
            defaultValue = "1",
            description =
                    "Calls in a contender's turn, the first on fresh gradients and the others on what it left of them, "
                            + "as far as the caches hold it. Default: ${DEFAULT-VALUE}.")
    private int again;

    @Option(names = "--threads", description = "Threads of this library.")
    private int threads = Backend.defaultThreads();

    private final PrintStream out;
    private boolean wrong;

    Duel(PrintStream out) {
        this.out = out;
    }

    /** Runs it. */
    public static void main(String[] args) {
        System.exit(new CommandLine(new Duel(System.out)).execute(args));
    }

    @Override
    public Integer call() throws IOException {
        if (again < 1 || again > MOST_AGAIN) {
            throw new ParameterException(
                    new CommandLine(this), "--again must be from 1 to " + MOST_AGAIN + ", but is " + again);
        }
        List<DuelCase> all;
        Shape shape;
        Gradients gradients;
        try {
            all = cases.stream().map(DuelCase::of).toList();
            shape = Shapes.named(workload, dtype(dtype), bytes);
            gradients = new Gradients(shape);
        } catch (IllegalArgumentException e) {
            throw new ParameterException(new CommandLine(this), String.valueOf(e.getMessage()), e);
        }
        List<Contender> contenders = bound(shape);
        wrong = false;
        for (DuelCase what : all) {
            List<Contender> sound = new ArrayList<>();
            for (Contender contender : contenders) if (isSound(contender, what, gradients)) sound.add(contender);
            time(shape, what, gradients, sound);
        }
        contenders.forEach(Contender::close);
        return wrong ? 1 : 0;
    }

    private boolean isSound(Contender contender, DuelCase what, Gradients gradients) {
        gradients.writeTo(contender);
        try {
            String fault = gradients.fault(contender, what, what.run(contender, gradients, 0));
            if (fault.isEmpty()) return true;
            System.err.println(contender.name() + ", " + what + ": not timed, for " + fault);
            wrong = true;
        } catch (UnsupportedOperationException e) {
            System.err.println("not timed: " + e.getMessage());
        }
        return false;
    }

    private static DType dtype(String label) {
        return switch (label.toLowerCase(Locale.ROOT)) {
            case "f32" -> DType.FLOAT32;
            case "bf16" -> DType.BFLOAT16;
            case "f16" -> DType.FLOAT16;
            default -> throw new IllegalArgumentException("no type '" + label + "'; choose of f32, bf16, f16");
        };
    }

    /** The contenders that are made for the shape; the others say why they are not. */
    private List<Contender> bound(Shape shape) {
        List<Contender> peers = new ArrayList<>();
        ServiceLoader.load(Contender.class).forEach(peers::add);
        // Before this library, which works on the threads of a peer that has some.
        peers.removeIf(peer -> !canBind(peer, shape));
        String openMp = peers.stream()
                .map(Contender::openMpLibrary)
                .filter(name -> !name.isEmpty())
                .findFirst()
                .orElse("");
        List<Contender> all = new ArrayList<>();
        for (String name : own) all.add(own(name, openMp));
        all.removeIf(contender -> !canBind(contender, shape));
        all.addAll(peers);
        return all;
    }

    private static boolean canBind(Contender contender, Shape shape) {
        try {
            contender.bind(shape);
            return true;
        } catch (UnsupportedOperationException e) {
            System.err.println("not timed: " + e.getMessage());
            return false;
        }
    }

    private Contender own(String name, String openMp) {
        return switch (name) {
            case "native" -> new GradclipContender(Backend.NATIVE, false, threads, openMp);
            case "heap" -> new GradclipContender(Backend.NATIVE, true, threads, openMp);
            case "java" -> new GradclipContender(Backend.JAVA, false, threads, openMp);
            case "loop" -> new LoopContender();
            default ->
                throw new ParameterException(new CommandLine(this), "no contender '" + name + "' of this library");
        };
    }

    private void time(Shape shape, DuelCase what, Gradients gradients, List<Contender> contenders) throws IOException {
        // Each as long as the others: in turn with one that is 40 times as slow, few calls would find the JVM's
        // compiler done.
        for (Contender contender : contenders) {
            long end = System.nanoTime() + (long) (seconds * WARM_UP / contenders.size() * 1e9);
            while (System.nanoTime() < end) turn(contender, what, gradients, new ArrayList<>());
        }
        List<List<Double>> micros = new ArrayList<>();
        for (int i = 0; i < contenders.size(); i++) micros.add(new ArrayList<>());
        long end = System.nanoTime() + (long) (seconds * (1 - WARM_UP) * 1e9);
        for (int round = 0; round < FEWEST_ROUNDS || System.nanoTime() < end; round++) {
            // Turned by one each round, so that nobody always follows the same other one.
            for (int i = 0; i < contenders.size(); i++) {
                int turn = (i + round) % contenders.size();
                turn(
                        contenders.get(turn),
                        what,
                        gradients,
                        round < UNTIMED_ROUNDS ? new ArrayList<>() : micros.get(turn));
            }
        }
        for (int i = 0; i < contenders.size(); i++) {
            String label = again == 1 ? what.toString() : what + AGAIN;
            out.println(DuelSample.of(shape, label, contenders.get(i).name(), micros.get(i))
                    .toLine());
        }
    }

    private void turn(Contender contender, DuelCase what, Gradients gradients, List<Double> micros) {
        gradients.writeTo(contender);
        for (int earlier = 0; earlier < again; earlier++) {
            long before = System.nanoTime();
            what.run(contender, gradients, earlier);
            long after = System.nanoTime();
            micros.add((after - before) / 1e3);
        }
    }
}
