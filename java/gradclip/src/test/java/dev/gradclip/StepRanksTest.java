// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Weights that are cut over ranks, and stepped by one norm, have the bits of one process that steps all of them. */
class StepRanksTest {
    private static final int[] RANKS = {1, 2, 3, 7};
    private static final int STEPS = 3;

    private static final List<Update> UPDATES = List.of(
            Update.adamW(0.01),
            Update.sgd(0.1).withMomentum(0.9).withWeightDecay(0.01),
            Update.adam(0.01).zeroingGradients(),
            Update.sgd(0.1));

    static List<TestBackend> backends() {
        return TestBackend.all().toList();
    }

    private static void requireSame(Ranks ranks, String what) {
        requireSame(ranks.wholeWeightsBits(), ranks.weightsBits(), what + " weights");
        requireSame(ranks.wholeBits(), ranks.bits(), what + " gradients");
    }

    private static void requireSame(List<long[]> want, List<long[]> got, String what) {
        for (int i = 0; i < want.size(); i++) assertArrayEquals(want.get(i), got.get(i), what + " t" + i);
    }

    private static void requireSame(ClipResult want, Object got, String what) {
        ClipResult result = assertInstanceOf(ClipResult.class, got, what);
        assertEquals(want.globalNorm(), result.globalNorm(), what);
        assertEquals(want.coefficient(), result.coefficient(), what);
        assertEquals(want.clippedNorm(), result.clippedNorm(), what);
        // A value rule counts what this rank holds.
        if (!Double.isNaN(want.globalNorm())) assertEquals(want.clipped(), result.clipped(), what);
        assertEquals(want.nonFinite(), result.nonFinite(), what);
    }

    @ParameterizedTest
    @MethodSource("backends")
    void anyCutHasTheWeightsOfOneProcess(TestBackend backend) {
        List<NormType> types = List.of(NormType.L2, NormType.L1, NormType.INF);
        for (int seed = 0; seed < (backend.onDevice() ? 12 : 60); seed++) {
            Random random = new Random(seed);
            NormType type = types.get(seed % 3);
            Update update = UPDATES.get(seed / 5 % 4);
            try (Ranks ranks = new Ranks(backend, RanksTest.tensors(random, seed % 5), RANKS[seed % 4], random)) {
                ClipRule rule = RanksTest.rule(random, type, Math.min(ranks.whole.globalNorm(type), 1e300));
                requireSteps(ranks, update, rule, "seed " + seed + " " + update + " " + rule);
            }
        }
    }

    private static void requireSteps(Ranks ranks, Update update, ClipRule rule, String what) {
        for (int step = 0; step < STEPS; step++) {
            ClipResult want = ranks.whole.step(update, rule);
            List<Object> all = ranks.byExchange((clipper, exchange) -> clipper.step(update, rule, exchange));
            for (Object got : all) requireSame(want, got, what);
            requireSame(ranks, what);
        }
    }

    /** A NaN on one rank is a matter of all: they skip, throw or zero together, and none counts a step more. */
    @ParameterizedTest
    @MethodSource("backends")
    void policiesAreDecidedAlike(TestBackend backend) {
        for (int seed = 0; seed < 32; seed++) {
            Random random = new Random(seed);
            NonFinitePolicy policy = NonFinitePolicy.values()[seed % 4];
            List<Ranks.Whole> tensors = RanksTest.tensors(random, 4);
            double[] values = tensors.get(random.nextInt(tensors.size())).values();
            if (values.length > 0)
                values[random.nextInt(values.length)] = seed < 16 ? Double.NaN : Double.NEGATIVE_INFINITY;
            ClipRule rule = RanksTest.ofAll(seed).withNonFinitePolicy(policy);
            Update update = UPDATES.get(seed % 2);
            String what = "seed " + seed + " " + rule;
            try (Ranks ranks = new Ranks(backend, tensors, RANKS[seed / 4 % 4], random)) {
                Object want = Ranks.outcome(() -> ranks.whole.step(update, rule));
                List<Object> all = ranks.byExchange((clipper, exchange) -> clipper.step(update, rule, exchange));
                for (int r = 0; r < all.size(); r++) {
                    if (want instanceof ClipResult result) requireSame(result, all.get(r), what);
                    else assertEquals(want.getClass(), all.get(r).getClass(), what);
                    boolean counted = want instanceof ClipResult result
                            && !(result.nonFinite() && policy == NonFinitePolicy.SKIP);
                    assertEquals(
                            counted && ranks.holdsAny(r) ? 1 : 0,
                            ranks.clippers.get(r).state().steps(),
                            what);
                }
                requireSame(ranks, what);
            }
        }
    }

    /** A rank without weights can't step; the others must not wait for it, nor step without it. */
    @Test
    void aRankThatCannotStepEndsAll() {
        List<Exchange> exchanges = Exchange.inProcess(2);
        float[] weights = {1, 2};
        try (GradientClipper left = GradientClipper.builder()
                        .add("w", HostBuffer.wrap(new float[] {3, 4}))
                        .weights(HostBuffer.wrap(weights))
                        .replica(0)
                        .build();
                GradientClipper right = GradientClipper.builder()
                        .add("w", HostBuffer.wrap(new float[] {3, 4}))
                        .replica(0)
                        .build()) {
            List<Object> all = Ranks.byExchange(
                    List.of(left, right),
                    exchanges,
                    (clipper, exchange) -> clipper.step(Update.sgd(1), ClipRule.globalNorm(1), exchange));
            RankMismatchException told = assertInstanceOf(RankMismatchException.class, all.get(0));
            assertTrue(String.valueOf(told.getMessage()).contains("rank 1 could not measure: "), told::toString);
            IllegalStateException own = assertInstanceOf(IllegalStateException.class, all.get(1));
            assertTrue(String.valueOf(own.getMessage()).startsWith("w has no weights to update"), own::toString);
            assertArrayEquals(new float[] {1, 2}, weights);
        }
    }
}
