// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Every rule on tensors of every kind: every figure and every element has the same bits on every backend. */
class RulesAgreeTest {
    private record Outcome(String backend, List<Object> figures, List<long[]> bits) {}

    private static Outcome clip(TestBackend backend, ClipRule rule, double odd) {
        try (MixedTensors mixed = new MixedTensors(backend, odd, 1)) {
            List<Object> figures = new ArrayList<>();
            // A rule that covers all tensors, before this one, must leave nothing behind for it.
            mixed.clipper.clip(ClipRule.perRowNorm(500));
            ClipResult result = mixed.clipper.clip(rule);
            figures.addAll(List.of(result.globalNorm(), result.coefficient(), result.elementsChanged()));
            figures.add(result.clippedNorm());
            figures.addAll(List.of(result.clipped(), result.nonFinite(), result.tensors(), result.elements()));
            if (!EveryRule.clamps(rule)) addTensors(mixed, result, figures);
            return new Outcome(backend.name(), figures, mixed.bits());
        }
    }

    private static void addTensors(MixedTensors mixed, ClipResult result, List<Object> figures) {
        for (int i = 0; i < mixed.tensors(); i++) {
            figures.add(result.tensorNorm(i));
            figures.add(result.tensorCoefficient(i));
            int rows = mixed.rows(i);
            for (int row : new int[] {0, 1, rows / 2, rows - 1}) {
                if (row >= rows) continue;
                figures.add(result.rowNorm(i, row));
                figures.add(result.rowCoefficient(i, row));
            }
        }
        for (String group : List.of("first", "empty", "second", "third")) figures.add(result.groupNorm(group));
    }

    /** Returns one of each backend, because the SIMD level or order of warps matters to norms alone. */
    private static Stream<TestBackend> oneOfEach() {
        Set<Backend> seen = new HashSet<>();
        return TestBackend.all().filter(b -> seen.add(b.backend()));
    }

    private static void assertAgree(Stream<TestBackend> backends, ClipRule rule, double odd) {
        List<Outcome> outcomes = backends.map(b -> clip(b, rule, odd)).toList();
        Outcome first = outcomes.get(0);
        for (Outcome outcome : outcomes) {
            String what = rule + " on " + outcome.backend();
            assertEquals(first.figures(), outcome.figures(), what);
            for (int i = 0; i < first.bits().size(); i++) {
                assertArrayEquals(first.bits().get(i), outcome.bits().get(i), what);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"L2", "L1", "INF"})
    void toTheBit(String type) {
        NormType normType = type.equals("L2") ? NormType.L2 : type.equals("L1") ? NormType.L1 : NormType.INF;
        for (ClipRule rule : EveryRule.allByNorm()) {
            assertAgree(TestBackend.all(), EveryRule.withNormType(rule, normType), 1);
        }
        ;
    }

    @ParameterizedTest
    @ValueSource(doubles = {0x1p-3, 0.3, 5, 1e-35})
    void unscaled(double inverseScale) {
        for (ClipRule rule : EveryRule.all()) assertAgree(oneOfEach(), rule.withInverseScale(inverseScale), 1);
    }

    @ParameterizedTest
    @ValueSource(doubles = {1, Double.NaN, Double.POSITIVE_INFINITY})
    void underEveryPolicyThatGoesOn(double odd) {
        for (ClipRule rule : EveryRule.all()) {
            for (NonFinitePolicy policy : NonFinitePolicy.values()) {
                if (policy != NonFinitePolicy.ERROR) assertAgree(oneOfEach(), rule.withNonFinitePolicy(policy), odd);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(doubles = {Double.NaN, Double.POSITIVE_INFINITY})
    void byEveryConvention(double odd) {
        for (ClipRule rule : EveryRule.norms()) {
            for (Convention convention : Convention.values()) {
                assertAgree(oneOfEach(), ((NormRule) rule).withConvention(convention), odd);
            }
        }
    }
}
