// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** One element of one row of one tensor of one group is not finite: every rule under every policy. */
class RulePoliciesTest {
    private static final double[] ODD = {Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY};

    static Stream<TestBackend> backends() {
        return TestBackend.all();
    }

    private static void assertBits(List<long[]> expected, MixedTensors mixed, Object what) {
        List<long[]> got = mixed.bits();
        for (int i = 0; i < expected.size(); i++) assertArrayEquals(expected.get(i), got.get(i), what::toString);
    }

    @ParameterizedTest
    @MethodSource("backends")
    void errorNamesTheTensorAndChangesNothing(TestBackend backend) {
        for (double odd : ODD) {
            try (MixedTensors mixed = new MixedTensors(backend, odd, 1)) {
                List<long[]> before = mixed.bits();
                for (ClipRule rule : EveryRule.all()) {
                    ClipRule strict = rule.withNonFinitePolicy(NonFinitePolicy.ERROR);
                    NonFiniteGradientException e =
                            assertThrows(NonFiniteGradientException.class, () -> mixed.clipper.clip(strict));
                    assertEquals("tensor " + MixedTensors.ODD_TENSOR, e.tensor());
                    assertBits(before, mixed, rule);
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void skipChangesNothingAndSaysSo(TestBackend backend) {
        for (double odd : ODD) {
            try (MixedTensors mixed = new MixedTensors(backend, odd, 1)) {
                List<long[]> before = mixed.bits();
                for (ClipRule rule : EveryRule.all()) {
                    // The decision of the clip before must not count as that of this one.
                    mixed.clipper.decide(ClipRule.globalNorm(1));
                    ClipResult result = mixed.clipper.clip(rule.withNonFinitePolicy(NonFinitePolicy.SKIP));
                    assertTrue(result.nonFinite(), rule::toString);
                    assertFalse(result.clipped());
                    assertEquals(0, result.elementsChanged());
                    assertBits(before, mixed, rule);
                    if (EveryRule.clamps(rule)) continue;
                    assertEquals(1, result.coefficient());
                    assertEquals(1, result.tensorCoefficient(0), rule::toString);
                    assertEquals(1, result.rowCoefficient(6, 7));
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void zeroClipsAsIfItHadBeenZero(TestBackend backend) {
        for (double odd : ODD) {
            for (ClipRule rule : EveryRule.all()) {
                try (MixedTensors mixed = new MixedTensors(backend, odd, 1);
                        MixedTensors zeroed = new MixedTensors(backend, 0, 1)) {
                    ClipResult got = mixed.clipper.clip(rule.withNonFinitePolicy(NonFinitePolicy.ZERO));
                    ClipResult want = zeroed.clipper.clip(rule);
                    assertTrue(got.nonFinite());
                    assertFalse(want.nonFinite());
                    assertEquals(want.globalNorm(), got.globalNorm());
                    assertEquals(want.coefficient(), got.coefficient());
                    assertBits(zeroed.bits(), mixed, rule);
                    if (EveryRule.clamps(rule)) {
                        assertEquals(want.elementsChanged() + 1, got.elementsChanged(), rule::toString);
                        continue;
                    }
                    for (int i = 0; i < mixed.tensors(); i++) {
                        int last = mixed.rows(i) - 1;
                        assertEquals(want.tensorNorm(i), got.tensorNorm(i));
                        assertEquals(want.rowCoefficient(i, last), got.rowCoefficient(i, last), rule::toString);
                    }
                }
            }
        }
    }

    /** Each element becomes its product with the reported coefficient; those of other norms are unaffected. */
    @ParameterizedTest
    @MethodSource("backends")
    void propagateReachesWhatSharesTheNorm(TestBackend backend) {
        for (double odd : new double[] {Double.NaN, Double.NEGATIVE_INFINITY}) {
            try (MixedTensors before = new MixedTensors(backend, odd, 1)) {
                for (ClipRule rule : EveryRule.allByNorm()) assertReaches(backend, before, rule, odd);
            }
        }
    }

    private static void assertReaches(TestBackend backend, MixedTensors before, ClipRule rule, double odd) {
        try (MixedTensors mixed = new MixedTensors(backend, odd, 1);
                MixedTensors sound = new MixedTensors(backend)) {
            ClipResult got = mixed.clipper.clip(rule);
            ClipResult want = sound.clipper.clip(rule);
            assertTrue(got.nonFinite());
            String reached = RuleReference.part(rule, mixed, MixedTensors.ODD_TENSOR, MixedTensors.ODD_ROW);
            for (int i = 0; i < mixed.tensors(); i++) {
                HostBuffer gradient = mixed.gradients.get(i);
                if (gradient == null) continue;
                double[][] then = before.rows(before.gradients.get(i), i);
                double[][] now = mixed.rows(gradient, i);
                for (int row : new int[] {0, 1, 2, mixed.rows(i) - 1}) {
                    if (row >= mixed.rows(i)) continue;
                    String part = RuleReference.part(rule, mixed, i, row);
                    double expected = want.rowCoefficient(i, row);
                    if (!part.isEmpty() && part.equals(reached)) expected = Double.isNaN(odd) ? Double.NaN : 0;
                    double c = got.rowCoefficient(i, row);
                    assertEquals(expected, c, () -> rule + " at " + odd);
                    for (int k = 0; k < now[row].length; k++) {
                        double x = Rounding.scaled(gradient.dtype(), then[row][k], c);
                        assertEquals(x, now[row][k], rule::toString);
                    }
                }
            }
        }
    }
}
