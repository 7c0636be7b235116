// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.distributed;

import dev.gradclip.ClipResult;
import dev.gradclip.ClipRule;
import dev.gradclip.DType;
import dev.gradclip.ExchangeException;
import dev.gradclip.javacpp.TorchClipper;
import dev.gradclip.javacpp.TorchExchange;
import dev.gradclip.measure.Shape;
import dev.gradclip.measure.Shapes;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.FileStore;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Starts a JVM for each rank, which train one model together, and shows what its clip by one norm takes. */
@Command(
        name = "distributed",
        mixinStandardHelpOptions = true,
        description = {
            "Trains a small LibTorch network on several JVMs of this machine, with gradients that are sharded over them,",
            "and clips by one norm in each step. That norm must have the bits of one clipper of all gradients."
        })
public final class TrainRanks implements Callable<Integer> {
    /** The exit code of a rank that others have left. */
    static final int LEFT = 3;

    /** The exit code of a rank that was to be killed. */
    static final int KILLED = 9;

    @Option(names = "--ranks", defaultValue = "2", description = "JVMs, 2 to 4. Default: ${DEFAULT-VALUE}.")
    private int ranks;

    @Option(names = "--steps", defaultValue = "60", description = "Steps. Default: ${DEFAULT-VALUE}.")
    private int steps;

    @Option(names = "--max-norm", defaultValue = "0.3", description = "The threshold. Default: ${DEFAULT-VALUE}.")
    private double maxNorm;

    @Option(names = "--kill", description = "A rank that ends in the middle without a word.", defaultValue = "-1")
    private int kill;

    @Option(names = "--slow", description = "A rank that sleeps in the middle.", defaultValue = "-1")
    private int slow;

    @Option(names = "--late", description = "A rank that comes late.", defaultValue = "-1")
    private int late;

    @Option(
            names = "--seconds",
            defaultValue = "2",
            description = "How long --slow sleeps, or --late stays away. Default: ${DEFAULT-VALUE}.")
    private double seconds;

    @Option(
            names = "--patience",
            defaultValue = "60",
            description = "How many seconds a rank waits for another. Default: ${DEFAULT-VALUE}.")
    private double patience;

    @Option(
            names = "--gradients",
            description = "Times instead the parts of a clip of gradients of FLOAT32 of a shape: "
                    + "resnet50, gpt2 or COUNTxLENGTH.")
    private @Nullable String gradients;

    @Option(names = "--combine", description = "Times instead what a rank does with the bytes of up to 1000 ranks.")
    private boolean combine;

    @Option(names = "--rank", description = "The rank that this JVM is.", defaultValue = "-1", hidden = true)
    private int rank;

    @Option(names = "--store", description = "The file by which ranks meet.", hidden = true)
    private @Nullable Path store;

    private final PrintStream out;

    TrainRanks(PrintStream out) {
        this.out = out;
    }

    /** Runs the program and exits with its code. */
    public static void main(String[] arguments) {
        // LibTorch's threads may still be at work; the JVM's ordinary exit would wait for them or crash in them.
        Runtime.getRuntime().halt(new CommandLine(new TrainRanks(System.out)).execute(arguments));
    }

    @Override
    public Integer call() throws IOException, InterruptedException {
        if (combine) {
            CombineTimes.print(out);
            return 0;
        }
        if (ranks < 2 || ranks > 4) throw new IllegalArgumentException("ranks must be 2 to 4, but are " + ranks);
        if (steps < 1) throw new IllegalArgumentException("steps must be 1 or more, but are " + steps);
        if (gradients != null) Shapes.named(gradients, DType.FLOAT32, Long.MAX_VALUE);
        return rank < 0 ? launch() : join();
    }

    private int launch() throws IOException, InterruptedException {
        // The first JVM that loads LibTorch unpacks it, and two at once would do so on top of each other.
        torch.set_num_threads(1);
        Path folder = Files.createTempDirectory("distributed");
        List<Process> all = new ArrayList<>();
        try {
            for (int r = 0; r < ranks; r++) all.add(start(r, folder.resolve("store")));
            int worst = 0;
            for (int r = 0; r < ranks; r++) {
                int code = all.get(r).waitFor();
                worst = Math.max(worst, code);
                if (code != 0) out.println("rank " + r + " exits with " + code);
            }
            return worst;
        } finally {
            all.forEach(Process::destroyForcibly);
            Files.deleteIfExists(folder.resolve("store"));
            Files.deleteIfExists(folder);
        }
    }

    private Process start(int ofRank, Path file) throws IOException {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home", ""), "bin", "java").toString(),
                "-cp",
                System.getProperty("java.class.path", ""),
                TrainRanks.class.getName(),
                "--ranks=" + ranks,
                "--steps=" + steps,
                "--max-norm=" + maxNorm,
                "--kill=" + kill,
                "--slow=" + slow,
                "--late=" + late,
                "--seconds=" + seconds,
                "--patience=" + patience,
                "--rank=" + ofRank,
                "--store=" + file));
        if (gradients != null) command.add("--gradients=" + gradients);
        return new ProcessBuilder(command).inheritIO().start();
    }

    private int join() throws InterruptedException {
        if (store == null) throw new IllegalArgumentException("--rank comes with --store");
        // The ranks share this machine's cores.
        torch.set_num_threads(1);
        if (rank == late) sleep();
        long start = System.nanoTime();
        try (FileStore meeting = new FileStore(store.toString(), ranks);
                TorchExchange exchange = TorchExchange.gloo(
                        meeting, rank, ranks, "127.0.0.1", Duration.ofMillis((long) (1e3 * patience)))) {
            if (late >= 0) reportWait("for all to meet", System.nanoTime() - start);
            if (gradients == null) return train(exchange);
            Shape shape = Shapes.named(gradients, DType.FLOAT32, Long.MAX_VALUE);
            return new ExchangeTimes(shape, exchange).run(out, steps) ? 0 : 1;
        } catch (ExchangeException e) {
            out.println(e.getMessage());
            return LEFT;
        }
    }

    private void sleep() throws InterruptedException {
        Thread.sleep((long) (1e3 * seconds));
    }

    @SuppressWarnings("try") // a scope is there to be closed
    private int train(TorchExchange exchange) throws InterruptedException {
        ShardedModel model = new ShardedModel(exchange);
        TimedExchange timed = new TimedExchange(exchange);
        long[] clips = new long[steps];
        long[] exchanges = new long[steps];
        long bytes = 0;
        try (TorchClipper clipper = model.sharded();
                TorchClipper whole = model.whole()) {
            for (int step = 0; step < steps; step++) {
                if (rank == kill && step == steps / 2) Runtime.getRuntime().halt(KILLED);
                try (PointerScope scope = new PointerScope()) {
                    double loss = model.backward();
                    double want = whole.globalNorm();
                    if (rank == slow && step == steps / 2) sleep();
                    // The exchange is timed from when all ranks are there.
                    timed.allGather(new byte[0]);
                    long waited = timed.nanos();
                    if (slow >= 0 && step == steps / 2) reportWait("for the others in step " + step, waited);
                    long start = System.nanoTime();
                    ClipResult result = clipper.clip(ClipRule.globalNorm(maxNorm), timed);
                    long took = System.nanoTime() - start;
                    exchanges[step] = timed.nanos();
                    clips[step] = took - exchanges[step];
                    bytes = timed.bytes();
                    if (result.globalNorm() != want) {
                        out.println("rank " + rank + ": " + result.globalNorm() + " is not " + want);
                        return 1;
                    }
                    model.step();
                    if (rank == 0 && (step % 10 == 0 || step == steps - 1)) report(step, loss, result);
                }
            }
        }
        if (rank == 0) sum(clips, exchanges, bytes);
        return 0;
    }

    private void reportWait(String why, long nanos) {
        // In one piece, since ranks print to one place.
        out.print(String.format(Locale.ROOT, "rank %d waited %.1f s %s%n", rank, nanos / 1e9, why));
    }

    private void report(int step, double loss, ClipResult result) {
        out.printf(
                "step %3d  loss %.4f  norm %.6f  coefficient %.4f  (bits of one process)%n",
                step, loss, result.globalNorm(), result.coefficient());
    }

    private void sum(long[] clips, long[] exchanges, long bytes) {
        Arrays.sort(clips);
        Arrays.sort(exchanges);
        out.printf(
                "%d ranks: clip %.0f µs, exchange %.0f µs a step (medians of %d), %d bytes sent by rank 0 a step%n",
                ranks, clips[steps / 2] / 1e3, exchanges[steps / 2] / 1e3, steps, bytes);
    }
}
