// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.javacpp;

import static org.bytedeco.pytorch.global.torch.randn;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.ClipResult;
import dev.gradclip.ClipRule;
import dev.gradclip.Exchange;
import dev.gradclip.ExchangeException;
import dev.gradclip.NormType;
import dev.gradclip.RankMismatchException;
import dev.gradclip.Update;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.function.IntFunction;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.FileStore;
import org.bytedeco.pytorch.Store;
import org.bytedeco.pytorch.TCPStore;
import org.bytedeco.pytorch.TCPStoreOptions;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** Ranks that meet by Gloo, as threads of this JVM and as JVMs of which one is killed. */
@ExtendWith(Torch.class)
@Timeout(120)
class TorchRanksTest {
    private static final ClipRule RULE = ClipRule.globalNorm(1);

    @TempDir
    Path folder = Path.of(".");

    /** Does the same on every rank, in a thread for each; returns what each returned. */
    private <T> List<T> onRanks(int size, Function<Exchange, T> work) throws Exception {
        return onRanks(size, Duration.ofSeconds(20), work);
    }

    private <T> List<T> onRanks(int size, Duration patience, Function<Exchange, T> work) throws Exception {
        String file = folder.resolve("store").toString();
        return onRanks(size, rank -> new FileStore(file, size), patience, work);
    }

    private static <T> List<T> onRanks(
            int size, IntFunction<Store> stores, Duration patience, Function<Exchange, T> work) throws Exception {
        return inThreads(size, rank -> {
            try (Store store = stores.apply(rank);
                    TorchExchange exchange = TorchExchange.gloo(store, rank, size, "127.0.0.1", patience)) {
                return work.apply(exchange);
            }
        });
    }

    private static <T> List<T> inThreads(int size, IntFunction<T> work) throws Exception {
        ExecutorService threads = Executors.newFixedThreadPool(size);
        try {
            List<Future<T>> futures = new ArrayList<>();
            for (int r = 0; r < size; r++) {
                int rank = r;
                futures.add(threads.submit(() -> work.apply(rank)));
            }
            List<T> results = new ArrayList<>();
            for (Future<T> future : futures) results.add(future.get(60, TimeUnit.SECONDS));
            return results;
        } finally {
            threads.shutdownNow();
        }
    }

    /** What NCCL's way refuses before it asks anything of a group. */
    @Test
    void gradientsOnTheCpuAndOtherNormsAreRefusedForNccl() {
        try (TorchClipper clipper = TorchClipper.of(Torch.vector(Torch.withOnes(4)));
                org.bytedeco.pytorch.Backend none = new org.bytedeco.pytorch.Backend((Pointer) null)) {
            String said = String.valueOf(
                    assertThrows(IllegalArgumentException.class, () -> clipper.clipAsync(ClipRule.globalNorm(1), none))
                            .getMessage());
            assertTrue(said.contains("on the CPU") && said.contains("TorchExchange.gloo"), said);
            String other = String.valueOf(assertThrows(
                            IllegalArgumentException.class,
                            () -> clipper.clipAsync(ClipRule.globalNorm(1).withNormType(NormType.L1), none))
                    .getMessage());
            assertTrue(other.contains("add up squares"), other);
        }
    }

    @Test
    void messagesOfAnyLengthArrive() throws Exception {
        List<Boolean> right = onRanks(3, exchange -> {
            boolean all = exchange.size() == 3;
            for (int length : new int[] {0, 1, 4096, 4097, 100_000, 5}) {
                byte[] mine = new byte[length * (1 + exchange.rank())];
                Arrays.fill(mine, (byte) (exchange.rank() + 1));
                byte[][] sent = exchange.allGather(mine);
                for (int r = 0; r < sent.length; r++) {
                    byte[] want = new byte[length * (1 + r)];
                    Arrays.fill(want, (byte) (r + 1));
                    all &= Arrays.equals(want, sent[r]);
                }
            }
            return all;
        });
        assertEquals(List.of(true, true, true), right);
    }

    @Test
    void ranksMeetByTcpToo() throws Exception {
        int free;
        try (ServerSocket socket = new ServerSocket(0)) {
            free = socket.getLocalPort();
        }
        IntFunction<Store> stores = rank -> new TCPStore(
                "127.0.0.1", new TCPStoreOptions().port((short) free).isServer(rank == 0));
        List<Integer> lengths = onRanks(
                2,
                stores,
                Duration.ofSeconds(20),
                exchange -> exchange.allGather(new byte[7 + exchange.rank()])[1].length);
        assertEquals(List.of(8, 8), lengths);
    }

    private static Tensor parameter(Tensor gradient) {
        Tensor parameter = gradient.clone().requires_grad_(true);
        parameter.mutable_grad().put(gradient.clone());
        return parameter;
    }

    @Test
    void shardedParametersHaveTheBitsOfWholeOnes() throws Exception {
        Tensor weight = randn(6, 4096);
        Tensor bias = randn(100);
        Tensor head = randn(50, 30);
        Tensor whole = parameter(weight);
        ClipResult want;
        try (TorchClipper one = TorchClipper.builder()
                .add("weight", whole)
                .add("bias", parameter(bias))
                .add("head", parameter(head))
                .build()) {
            want = one.clip(RULE);
        }
        double[] clipped = Torch.values(whole.grad());
        List<Boolean> same = onRanks(3, exchange -> {
            int rank = exchange.rank();
            Tensor mine = parameter(weight.narrow(0, 2L * rank, 2).contiguous());
            TorchClipperBuilder builder = TorchClipper.builder()
                    .threads(1)
                    .add("weight", mine)
                    .shard(2L * rank * 4096, 6 * 4096)
                    .add("bias", parameter(bias))
                    .replica(1);
            if (rank == 2) builder.add("head", parameter(head));
            else builder.elsewhere("head", ScalarType.Float, 1500);
            try (TorchClipper clipper = builder.build()) {
                ClipResult got = clipper.clip(RULE, exchange);
                return got.globalNorm() == want.globalNorm()
                        && got.coefficient() == want.coefficient()
                        && Arrays.equals(
                                Arrays.copyOfRange(clipped, 2 * rank * 4096, 2 * (rank + 1) * 4096),
                                Torch.values(mine.grad()));
            }
        });
        assertEquals(List.of(true, true, true), same);
    }

    @Test
    void shardedParametersStepToTheBitsOfWholeOnes() throws Exception {
        Update update = Update.adamW(0.1);
        Tensor weight = randn(6, 4096);
        Tensor bias = randn(100);
        Tensor whole = parameter(weight);
        try (TorchClipper one = TorchClipper.builder()
                .add("weight", whole)
                .add("bias", parameter(bias))
                .build()) {
            for (int step = 0; step < 3; step++) one.step(update, RULE);
        }
        double[] stepped = Torch.values(whole);
        List<Boolean> same = onRanks(3, exchange -> {
            long rank = exchange.rank();
            Tensor mine = parameter(weight.narrow(0, 2 * rank, 2).contiguous());
            try (TorchClipper clipper = TorchClipper.builder()
                    .threads(1)
                    .add("weight", mine)
                    .shard(2 * rank * 4096, 6 * 4096)
                    .add("bias", parameter(bias))
                    .replica(1)
                    .build()) {
                for (int step = 0; step < 3; step++) clipper.step(update, RULE, exchange);
            }
            int from = (int) (2 * rank * 4096);
            return Arrays.equals(Arrays.copyOfRange(stepped, from, from + 2 * 4096), Torch.values(mine));
        });
        assertEquals(List.of(true, true, true), same);
    }

    /** Copies that are declared are counted once; copies that are not would make the norm √2 times what it is. */
    @Test
    void replicasOfAModelAreCountedOnce() throws Exception {
        Tensor gradient = randn(1000);
        double norm = Torch.norm(gradient);
        List<Double> norms = onRanks(2, exchange -> {
            try (TorchClipper clipper = TorchClipper.builder()
                    .threads(1)
                    .add("w", parameter(gradient))
                    .replicated()
                    .build()) {
                return clipper.clip(RULE, exchange).globalNorm();
            }
        });
        assertEquals(norms.get(0), norms.get(1));
        assertEquals(norm, norms.get(0), 1e-6 * norm);
        List<String> refused = onRanks(2, exchange -> {
            try (TorchClipper clipper = TorchClipper.builder()
                    .threads(1)
                    .add("w", parameter(gradient))
                    .build()) {
                return String.valueOf(assertThrows(RankMismatchException.class, () -> clipper.clip(RULE, exchange))
                        .getMessage());
            }
        });
        assertTrue(refused.get(0).contains("elements [0, 1000) of w are counted by rank 0 and by rank 1"));
        assertEquals(refused.get(0), refused.get(1));
    }

    @Test
    void aGradientThatCannotBeClippedEndsAllRanks() throws Exception {
        List<String> refused = onRanks(2, exchange -> {
            Tensor parameter = parameter(randn(4, 4));
            if (exchange.rank() == 1) parameter.mutable_grad().put(randn(4, 8).narrow(1, 0, 4));
            try (TorchClipper clipper = TorchClipper.builder()
                    .threads(1)
                    .add("w", parameter)
                    .replicated()
                    .build()) {
                return String.valueOf(assertThrows(IllegalArgumentException.class, () -> clipper.clip(RULE, exchange))
                        .getMessage());
            }
        });
        assertTrue(refused.get(0).startsWith("rank 1 could not measure: "), refused.get(0));
        assertTrue(refused.get(1).startsWith("the gradient of w "), refused.get(1));
    }

    private static String refusal(Exchange exchange) {
        return String.valueOf(assertThrows(ExchangeException.class, () -> exchange.allGather(new byte[1]))
                .getMessage());
    }

    private static void assertStarts(List<String> want, List<String> got) {
        for (int r = 0; r < want.size(); r++) assertTrue(got.get(r).startsWith(want.get(r)), got::toString);
    }

    @Test
    void aRankThatClosesItsExchangeIsNamed() throws Exception {
        List<String> texts = onRanks(3, exchange -> {
            exchange.allGather(new byte[1]);
            return exchange.rank() == 2 ? "" : refusal(exchange);
        });
        assertStarts(
                List.of(
                        "rank 0 of 3 got no answer: rank 2 has closed the exchange; ",
                        "rank 1 of 3 got no answer: rank 2 has closed the exchange; "),
                texts);
    }

    @Test
    void aRankThatIsTooSlowIsNamed() throws Exception {
        List<String> texts = onRanks(3, Duration.ofSeconds(1), exchange -> {
            exchange.allGather(new byte[1]);
            if (exchange.rank() == 1) pause(4);
            return refusal(exchange);
        });
        assertStarts(
                List.of(
                        "rank 0 of 3 got no answer: rank 1 did not answer",
                        "rank 1 of 3 got no answer: the others have given up; ",
                        "rank 2 of 3 got no answer: rank 1 did not answer"),
                texts);
        // The first to give up has waited for all the time; the other one may have noticed that by its connection.
        assertTrue((texts.get(0) + texts.get(2)).contains("rank 1 did not answer within 1.0 s; "), texts::toString);
    }

    @Test
    void aRankThatComesTooLateIsNamed() throws Exception {
        String file = folder.resolve("store").toString();
        List<String> texts = inThreads(3, rank -> {
            if (rank == 2) pause(3);
            try (Store store = new FileStore(file, 3)) {
                return String.valueOf(assertThrows(
                                ExchangeException.class,
                                () -> TorchExchange.gloo(store, rank, 3, "127.0.0.1", Duration.ofSeconds(1)))
                        .getMessage());
            }
        });
        assertStarts(
                List.of(
                        "rank 0 of 3 did not meet all others: rank 2 did not come within 1.0 s; ",
                        "rank 1 of 3 did not meet all others: rank 2 did not come within 1.0 s; ",
                        "rank 2 of 3 did not meet all others: ranks [0, 1] have given up; "),
                texts);
    }

    private static void pause(int seconds) {
        try {
            Thread.sleep(1000L * seconds);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    /** A rank of its own JVM; the one called "killed" ends without a word. */
    static final class Rank {
        private Rank() {}

        public static void main(String[] arguments) {
            int rank = Integer.parseInt(arguments[0]);
            int size = Integer.parseInt(arguments[1]);
            torch.set_num_threads(1);
            FileStore store = new FileStore(arguments[2], size);
            TorchExchange exchange = TorchExchange.gloo(store, rank, size, "127.0.0.1", Duration.ofSeconds(60));
            for (int i = 0; i < 100; i++) {
                if (rank == 1 && i == 50) Runtime.getRuntime().halt(9);
                try {
                    exchange.allGather(new byte[100]);
                } catch (ExchangeException e) {
                    System.out.println("after " + i + ": " + e.getMessage());
                    Runtime.getRuntime().halt(3);
                }
            }
        }
    }

    @Test
    void aKilledRankIsNamedInSeconds() throws Exception {
        List<Process> ranks = new ArrayList<>();
        try {
            for (int r = 0; r < 3; r++) {
                ranks.add(new ProcessBuilder(
                                Path.of(System.getProperty("java.home", ""), "bin", "java")
                                        .toString(),
                                "-Xmx256m",
                                "-cp",
                                System.getProperty("java.class.path", ""),
                                Rank.class.getName(),
                                "" + r,
                                "3",
                                folder.resolve("store").toString())
                        .redirectErrorStream(true)
                        .redirectOutput(folder.resolve("out" + r).toFile())
                        .start());
            }
            assertTrue(ranks.get(1).waitFor(60, TimeUnit.SECONDS));
            long killed = System.nanoTime();
            for (int r : new int[] {0, 2}) {
                assertTrue(ranks.get(r).waitFor(60, TimeUnit.SECONDS));
                String text = output(r);
                assertTrue(text.contains("after 50: rank " + r + " of 3 got no answer: rank 1 has ended"), text);
            }
            // They wait for 60 s where nothing is seen.
            assertTrue(System.nanoTime() - killed < 10_000_000_000L);
            assertArrayEquals(
                    new int[] {3, 9, 3},
                    ranks.stream().mapToInt(Process::exitValue).toArray());
        } finally {
            ranks.forEach(Process::destroyForcibly);
        }
    }

    private String output(int rank) {
        try {
            return Files.readString(folder.resolve("out" + rank), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
