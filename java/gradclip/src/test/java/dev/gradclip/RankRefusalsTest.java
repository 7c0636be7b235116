// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/** What does not cover every tensor exactly once is refused, by tensor and rank, alike on every rank. */
class RankRefusalsTest {
    private static final int TILE = 2048;

    private static final ClipRule RULE = ClipRule.globalNorm(1);

    private static GradientClipperBuilder with(UnaryOperator<GradientClipperBuilder> tensors) {
        return tensors.apply(GradientClipper.builder().withoutLeakReport());
    }

    private static HostBuffer floats(int length) {
        float[] array = new float[length];
        Arrays.fill(array, 2);
        return HostBuffer.wrap(array);
    }

    private static GradientClipperBuilder w(GradientClipperBuilder to, int tiles, int first, int total) {
        return to.add("w", floats(tiles * TILE)).shard((long) first * TILE, (long) total * TILE);
    }

    private static RankMismatchException refused(GradientClipperBuilder... ranks) {
        List<byte[]> sent = new ArrayList<>();
        for (GradientClipperBuilder rank : ranks) {
            try (GradientClipper clipper = rank.build()) {
                sent.add(clipper.partialNorm(RULE).toBytes());
            }
        }
        return assertThrows(RankMismatchException.class, () -> GlobalNorms.combine(sent));
    }

    private static void assertRefused(RankMismatchException e, @Nullable String tensor, String text, int... ranks) {
        assertEquals(text, e.getMessage());
        assertEquals(tensor, e.tensor());
        assertArrayEquals(ranks, e.ranks());
    }

    @Test
    void elementsThatNobodyCounts() {
        assertRefused(
                refused(with(b -> w(b, 2, 0, 8)), with(b -> w(b, 4, 4, 8))),
                "w",
                "no rank counts elements [4096, 8192) of w; rank 0 ends there; rank 1 goes on at 8192",
                0,
                1);
        assertRefused(
                refused(with(b -> b.elsewhere("w", DType.FLOAT32, 5)), with(b -> b.elsewhere("w", DType.FLOAT32, 5))),
                "w",
                "no rank counts elements [0, 5) of w");
        assertRefused(
                refused(with(b -> w(b, 4, 0, 8)), with(b -> b.elsewhere("w", DType.FLOAT32, 8 * TILE))),
                "w",
                "no rank counts elements [8192, 16384) of w; rank 0 ends there",
                0);
    }

    @Test
    void elementsThatAreCountedTwice() {
        assertRefused(
                refused(with(b -> w(b, 5, 0, 8)), with(b -> w(b, 4, 4, 8))),
                "w",
                "elements [8192, 10240) of w are counted by rank 0 and by rank 1; declare one of them with replica(0),"
                        + " or its place with shard(first, total)",
                0,
                1);
        // Copies that nobody declared: the commonest case, and a norm that is too large by the root of the ranks.
        assertRefused(
                refused(with(b -> b.add("w", floats(5))), with(b -> b.add("w", floats(5)))),
                "w",
                "elements [0, 5) of w are counted by rank 0 and by rank 1; declare one of them with replica(0), or its"
                        + " place with shard(first, total)",
                0,
                1);
        assertRefused(
                refused(
                        with(b -> b.add("w", floats(5)).replica(0)),
                        with(b -> b.add("w", floats(5)).replica(1))),
                "w",
                "elements [0, 5) of w are counted by rank 0 and by rank 1; declare one of them with replica(0), or its"
                        + " place with shard(first, total)",
                0,
                1);
    }

    @Test
    void replicasWhoseOwnerDoesNotCountThem() {
        assertRefused(
                refused(
                        with(b -> b.add("w", floats(5)).replica(1)),
                        with(b -> b.add("w", floats(5)).replica(0))),
                "w",
                "w on rank 0 is a replica of elements [0, 5) that rank 1 counts, but rank 1 leaves it to rank 0",
                0,
                1);
        assertRefused(
                refused(with(b -> w(b, 4, 0, 8).replica(1)), with(b -> w(b, 8, 0, 8))),
                "w",
                "w on rank 0 is a replica of elements [0, 8192) that rank 1 counts, but rank 1 counts elements"
                        + " [0, 16384)",
                0,
                1);
        assertRefused(
                refused(with(b -> b.add("w", floats(5)).replica(1)), with(b -> b.elsewhere("w", DType.FLOAT32, 5))),
                "w",
                "w on rank 0 is a replica of elements [0, 5) that rank 1 counts, but rank 1 holds nothing of it",
                0,
                1);
        assertRefused(
                refused(with(b -> b.add("w", floats(5)).replica(3))),
                "w",
                "w on rank 0 is a replica that rank 3 counts, but there are 1 ranks",
                0);
    }

    @Test
    void otherTensors() {
        String rest =
                "; every rank declares all tensors in the same order, with elsewhere(name, type, length) for those"
                        + " of which it holds nothing";
        GradientClipperBuilder base = with(b -> b.add("a", floats(5)).add("b", floats(6)));
        assertRefused(
                refused(base, with(b -> b.elsewhere("b", DType.FLOAT32, 6).elsewhere("a", DType.FLOAT32, 5))),
                "a",
                "tensor 0 is a of 5 elements of FLOAT32 on rank 0, but b of 6 elements of FLOAT32 on rank 1" + rest,
                0,
                1);
        assertRefused(
                refused(base, with(b -> b.elsewhere("a", DType.FLOAT32, 5).elsewhere("b", DType.FLOAT32, 7))),
                "b",
                "tensor 1 is b of 6 elements of FLOAT32 on rank 0, but b of 7 elements of FLOAT32 on rank 1" + rest,
                0,
                1);
        assertRefused(
                refused(base, with(b -> b.elsewhere("a", DType.FLOAT16, 5).elsewhere("b", DType.FLOAT32, 6))),
                "a",
                "tensor 0 is a of 5 elements of FLOAT32 on rank 0, but a of 5 elements of FLOAT16 on rank 1" + rest,
                0,
                1);
        assertRefused(
                refused(base, with(b -> b.elsewhere("a", DType.FLOAT32, 5))),
                "b",
                "b is tensor 1 on rank 0, but rank 1 has 1 tensors" + rest,
                0,
                1);
        assertRefused(
                refused(
                        base,
                        with(b -> b.group("g").elsewhere("a", DType.FLOAT32, 5).elsewhere("b", DType.FLOAT32, 6))),
                null,
                "the groups, with the tensors that they begin with, are {} on rank 0, but {g=0} on rank 1",
                0,
                1);
    }

    @Test
    void otherRowsAndOtherAbsentGradients() {
        assertRefused(
                refused(
                        with(b -> b.add("w", floats(12)).rows(3).shard(0, 24)),
                        with(b -> b.add("w", floats(12)).rows(2).shard(12, 24))),
                "w",
                "w has rows of 4 elements on rank 0, but of 6 on rank 1; bind it with the same rows everywhere (without"
                        + " rows it is one row)",
                0,
                1);
        assertRefused(
                refused(
                        with(b -> w(b, 4, 0, 8)),
                        with(b -> b.declare("w", DType.FLOAT32, 4 * TILE).shard(4 * TILE, 8 * TILE))),
                "w",
                "the gradient of w is absent on rank 1, but present on rank 0; an unused tensor is absent on every rank",
                1,
                0);
    }

    /** A shard that ends where its sums can't be added up is refused on its own rank, when it is built. */
    @Test
    void cutsWithinTiles() {
        assertEquals(
                "w is elements [0, 100) of 4096; cut a tensor at multiples of 2048 elements of FLOAT32 (a tile of 8 KiB),"
                        + " or bind it with rows and cut between them",
                assertThrows(
                                IllegalArgumentException.class,
                                () -> with(b -> b.add("w", floats(100)).shard(0, 4096))
                                        .build())
                        .getMessage());
        assertEquals(
                "w is elements [2, 10) of 40, which do not begin and end with its rows of 4; cut a tensor with rows"
                        + " between rows",
                assertThrows(
                                IllegalArgumentException.class,
                                () -> with(b -> b.add("w", floats(8)).rows(2).shard(2, 40))
                                        .build())
                        .getMessage());
        assertEquals(
                "w is elements [4096, 6144) of 5000, which has no such elements",
                assertThrows(
                                IllegalArgumentException.class,
                                () -> with(b -> b.add("w", floats(TILE)).shard(4096, 5000))
                                        .build())
                        .getMessage());
    }

    @Test
    void declarationsThatMeanNothing() {
        GradientClipperBuilder empty = GradientClipper.builder();
        assertThrows(IllegalStateException.class, () -> empty.shard(0, 1));
        assertThrows(IllegalStateException.class, () -> empty.replica(0));
        GradientClipperBuilder one = with(b -> b.add("w", floats(1)));
        assertEquals(
                "w can't begin at element 0 of -5; both are 0 or more",
                assertThrows(IllegalArgumentException.class, () -> one.shard(0, -5))
                        .getMessage());
        assertThrows(IllegalArgumentException.class, () -> one.shard(-1, 5));
        assertThrows(IllegalArgumentException.class, () -> one.replica(-1));
        assertThrows(IllegalArgumentException.class, () -> one.elsewhere("v", DType.FLOAT32, -1));
    }

    @Test
    void otherRules() {
        try (GradientClipper one = GradientClipper.of(new float[] {1});
                GradientClipper other = GradientClipper.of(new float[] {1})) {
            for (ClipRule rule : List.of(
                    ClipRule.globalNorm(2),
                    ClipRule.globalNorm(1).withNormType(NormType.L1),
                    ClipRule.globalNorm(1).withInverseScale(0.5),
                    ClipRule.globalNorm(1).withNonFinitePolicy(NonFinitePolicy.SKIP),
                    ClipRule.value(1))) {
                List<byte[]> sent = List.of(
                        one.partialNorm(RULE).toBytes(), other.partialNorm(rule).toBytes());
                assertRefused(
                        assertThrows(RankMismatchException.class, () -> GlobalNorms.combine(sent)),
                        null,
                        "rank 0 clips by " + RULE + ", but rank 1 by " + rule
                                + "; give every rank the same rule, norm type and unscaling",
                        0,
                        1);
            }
        }
    }

    @Test
    void rulesThatTakeNoNormOverRanks() {
        try (GradientClipper clipper =
                with(b -> b.add("w", floats(4)).weights(floats(4))).build()) {
            assertThrows(IllegalArgumentException.class, () -> clipper.partialNorm(ClipRule.adaptive(1)));
            ClipRule zeroes = RULE.withNonFinitePolicy(NonFinitePolicy.ZERO);
            assertThrows(IllegalArgumentException.class, () -> clipper.partialNorm(zeroes));
        }
    }

    /** Bytes from elsewhere, cut short, or with a byte changed: refused, or at least read without another exception. */
    @Test
    void foreignBytes() {
        byte[] good;
        try (GradientClipper clipper = GradientClipper.of(new float[] {1, 2})) {
            good = clipper.partialNorm(RULE).toBytes();
        }
        for (int length = 0; length < good.length; length++) {
            byte[] shorter = Arrays.copyOf(good, length);
            RankMismatchException e =
                    assertThrows(RankMismatchException.class, () -> GlobalNorms.combine(List.of(good, shorter)));
            assertArrayEquals(new int[] {1}, e.ranks());
        }
        byte[] longer = Arrays.copyOf(good, good.length + 1);
        assertThrows(RankMismatchException.class, () -> GlobalNorms.combine(List.of(longer)));
        for (int at = 0; at < good.length; at++) {
            for (byte with : new byte[] {0, 1, -1, 127, -128}) {
                byte[] other = good.clone();
                other[at] = with;
                try {
                    GlobalNorms.combine(List.of(other)).globalNorm();
                } catch (RankMismatchException | IllegalStateException expected) {
                    // A text or a number may also have become another one.
                }
            }
        }
        byte[] elsewhere = ByteBuffer.allocate(64).putInt(42).array();
        assertThrows(RankMismatchException.class, () -> GlobalNorms.combine(List.of(elsewhere)));
        assertThrows(IllegalArgumentException.class, () -> GlobalNorms.combine(List.of()));
    }

    /** A rank that can't measure tells the others, which would wait for it; nothing is changed anywhere. */
    @Test
    void aRankThatFailsEndsTheOthers() throws Exception {
        float[] fine = {3, 4};
        ByteBuffer zeros = ByteBuffer.allocateDirect(8).asReadOnlyBuffer().order(ByteOrder.LITTLE_ENDIAN);
        HostBuffer readOnly = HostBuffer.wrap(zeros, DType.FLOAT32);
        List<Exchange> exchanges = Exchange.inProcess(2);
        ExecutorService threads = Executors.newFixedThreadPool(2);
        try (GradientClipper one =
                        with(b -> b.add("w", HostBuffer.wrap(fine)).replica(0)).build();
                GradientClipper other =
                        with(b -> b.add("w", readOnly).replica(0)).build()) {
            Future<RankMismatchException> waits = threads.submit(
                    () -> assertThrows(RankMismatchException.class, () -> one.clip(RULE, exchanges.get(0))));
            assertThrows(IllegalStateException.class, () -> other.clip(RULE, exchanges.get(1)));
            assertRefused(
                    waits.get(),
                    null,
                    "rank 1 could not measure: java.lang.IllegalStateException: w is read-only, and this rule may write"
                            + " to it; measure it with globalNorm() or a threshold of infinity, or bind a writable"
                            + " buffer",
                    1);
        } finally {
            threads.shutdownNow();
        }
        assertArrayEquals(new float[] {3, 4}, fine);
    }

    @Test
    void aThreadThatDoesNotComeIsNamed() {
        List<Exchange> exchanges = Exchange.inProcess(3, Duration.ofMillis(30));
        ExchangeException e =
                assertThrows(ExchangeException.class, () -> exchanges.get(1).allGather(new byte[1]));
        assertEquals("ranks [0, 2] did not come within PT0.03S", e.getMessage());
        assertEquals(
                "the exchange is over: ranks [0, 2] did not come within PT0.03S",
                assertThrows(ExchangeException.class, () -> exchanges.get(0).allGather(new byte[1]))
                        .getMessage());
        assertThrows(IllegalArgumentException.class, () -> Exchange.inProcess(0));
    }
}
