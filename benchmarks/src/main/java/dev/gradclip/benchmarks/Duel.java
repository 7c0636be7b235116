// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import dev.gradclip.Backend;
import java.io.IOException;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.List;
import java.util.ServiceLoader;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * Times contenders in one process, call by call in turn, so that all see the machine in the same minutes. Each call finds
 * fresh gradients; what writes them is not timed. Every contender is checked in every case before it is timed.
 */
@Command(
        name = "duel",
        mixinStandardHelpOptions = true,
        sortOptions = false,
        description = "Prints a line of JSON for each contender and case; the peers are those on the class path.")
public final class Duel implements Callable<Integer> {
    private static final int FEWEST_CALLS = 5;
    private static final double WARM_UP = 0.3;

    @Option(names = "--workload", defaultValue = "1x1048576", description = "COUNTxLENGTH, resnet50 or gpt2.")
    private String workload = "";

    @Option(
            names = "--own",
            split = ",",
            defaultValue = "native",
            description = "Of native, heap (native on arrays), java, loop; default: native.")
    private List<String> own = List.of();

    @Option(names = "--cases", split = ",", defaultValue = "norm,bites,does not,clamp", description = "What to time.")
    private List<String> cases = List.of();

    @Option(names = "--seconds", defaultValue = "4", description = "For each case, all contenders together.")
    private double seconds;

    @Option(names = "--threads", description = "Threads of this library.")
    private int threads = Backend.defaultThreads();

    private final PrintStream out;

    Duel(PrintStream out) {
        this.out = out;
    }

    /** Runs it. */
    public static void main(String[] args) {
        System.exit(new CommandLine(new Duel(System.out)).execute(args));
    }

    @Override
    public Integer call() throws IOException {
        Workload work = Workload.of(workload);
        Gradients gradients = new Gradients(work.lengths());
        double norm = gradients.norm();
        List<Contender> peers = new ArrayList<>();
        ServiceLoader.load(Contender.class).forEach(peers::add);
        // Before this library, which works on the threads of a peer that has some.
        for (Contender peer : peers) peer.bind(work.lengths());
        String openMp = peers.stream()
                .map(Contender::openMpLibrary)
                .filter(name -> !name.isEmpty())
                .findFirst()
                .orElse("");
        List<Contender> contenders = new ArrayList<>();
        for (String name : own) contenders.add(own(name, openMp));
        for (Contender contender : contenders) contender.bind(work.lengths());
        contenders.addAll(peers);
        boolean wrong = false;
        for (String name : cases) {
            DuelCase what = DuelCase.of(name);
            List<Contender> sound = new ArrayList<>();
            for (Contender contender : contenders) {
                gradients.writeTo(contender);
                String fault = gradients.fault(contender, what, norm, what.run(contender, norm));
                if (fault.isEmpty()) sound.add(contender);
                else System.err.println(contender.name() + ", " + what + ": not timed, for " + fault);
                wrong |= !fault.isEmpty();
            }
            time(work, what, norm, gradients, sound);
        }
        contenders.forEach(Contender::close);
        return wrong ? 1 : 0;
    }

    private Contender own(String name, String openMp) {
        return switch (name) {
            case "native" -> new GradclipContender(Backend.NATIVE, false, threads, openMp);
            case "heap" -> new GradclipContender(Backend.NATIVE, true, threads, openMp);
            case "java" -> new GradclipContender(Backend.JAVA, false, threads, openMp);
            case "loop" -> new LoopContender();
            default ->
                throw new CommandLine.ParameterException(
                        new CommandLine(this), "no contender '" + name + "' of this library");
        };
    }

    private void time(Workload work, DuelCase what, double norm, Gradients gradients, List<Contender> contenders)
            throws IOException {
        List<List<Double>> micros = new ArrayList<>();
        for (int i = 0; i < contenders.size(); i++) micros.add(new ArrayList<>());
        long start = System.nanoTime();
        long warm = start + (long) (seconds * WARM_UP * 1e9);
        long end = start + (long) (seconds * 1e9);
        int timed = 0;
        for (int round = 0; timed < FEWEST_CALLS || System.nanoTime() < end; round++) {
            boolean isWarm = round >= 2 && System.nanoTime() >= warm;
            // Turned by one each round, so that nobody always follows the same other one.
            for (int i = 0; i < contenders.size(); i++) {
                int turn = (i + round) % contenders.size();
                Contender contender = contenders.get(turn);
                gradients.writeTo(contender);
                long before = System.nanoTime();
                what.run(contender, norm);
                long after = System.nanoTime();
                if (isWarm) micros.get(turn).add((after - before) / 1e3);
            }
            if (isWarm) timed++;
        }
        for (int i = 0; i < contenders.size(); i++) {
            out.println(DuelSample.of(work.name(), what, contenders.get(i).name(), micros.get(i))
                    .toLine());
        }
    }
}
