// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Every rule against its formula, for every row of tensors of every kind; RulesAgreeTest covers other backends. */
class RuleFormulasTest {
    /** The tolerance; norms of FLOAT32, FLOAT16 and BFLOAT16 are within 8 u, u = 2^-24. */
    private static final double CLOSE = 1e-6;

    static Stream<TestBackend> backends() {
        return TestBackend.onHost();
    }

    private static void assertFollowsTheFormula(TestBackend backend, ClipRule rule) {
        try (MixedTensors before = new MixedTensors(backend);
                MixedTensors mixed = new MixedTensors(backend)) {
            RuleReference reference = new RuleReference(rule, before);
            ClipResult result = mixed.clipper.clip(rule);
            boolean clips = false;
            for (int i = 0; i < mixed.tensors(); i++) {
                HostBuffer gradient = mixed.gradients.get(i);
                double[][] then = before.rows(before.gradients.get(i), i);
                double[][] now = mixed.rows(gradient, i);
                for (int row = 0; row < mixed.rows(i); row++) {
                    double expected = reference.coefficient(i, row);
                    double c = result.rowCoefficient(i, row);
                    String what = rule + ", row " + row + " of tensor " + i;
                    assertEquals(expected, c, CLOSE * expected, what);
                    if (gradient == null) continue;
                    double[] values = then[row];
                    clips |= values.length > 0 && c != rule.inverseScale();
                    for (int k = 0; k < values.length; k++) {
                        values[k] = Rounding.scaled(gradient.dtype(), values[k], c);
                    }
                    assertArrayEquals(values, now[row], what);
                }
            }
            assertEquals(clips, result.clipped(), rule::toString);
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void byNorm(TestBackend backend) {
        for (ClipRule rule : EveryRule.allByNorm()) assertFollowsTheFormula(backend, rule);
    }

    @ParameterizedTest
    @MethodSource("backends")
    void byOtherNorms(TestBackend backend) {
        for (NormType type : new NormType[] {NormType.L1, NormType.INF, NormType.p(3)}) {
            for (ClipRule rule : EveryRule.allByNorm()) {
                assertFollowsTheFormula(backend, EveryRule.withNormType(rule, type));
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void unscaled(TestBackend backend) {
        for (ClipRule rule : EveryRule.allByNorm()) assertFollowsTheFormula(backend, rule.withInverseScale(0.3));
    }

    /** The thresholds are chosen so that every form changes some rows and leaves others. */
    @ParameterizedTest
    @MethodSource("backends")
    void someBiteAndSomeDoNot(TestBackend backend) {
        List<ClipRule> mixedOutcomes = new ArrayList<>(List.of(ClipRule.adaptive(0.5), ClipRule.adaptive(0.9, 0)));
        for (ClipRule rule : EveryRule.norms()) {
            if (rule instanceof NormRule norm && norm.scope() == Scope.ROW && norm.max() > 0) mixedOutcomes.add(rule);
        }
        for (ClipRule rule : mixedOutcomes) {
            try (MixedTensors mixed = new MixedTensors(backend)) {
                ClipResult result = mixed.clipper.clip(rule);
                int changed = 0;
                for (int row = 0; row < 1025; row++) if (result.rowCoefficient(6, row) != 1) changed++;
                int some = changed;
                assertTrue(changed > 0 && changed < 1025, () -> some + " of 1025 by " + rule);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#all")
    void clamps(TestBackend backend) {
        for (ClipRule rule : EveryRule.values()) {
            for (double inverseScale : new double[] {1, 0.3}) {
                try (MixedTensors before = new MixedTensors(backend);
                        MixedTensors mixed = new MixedTensors(backend)) {
                    ClipResult result = mixed.clipper.clip(rule.withInverseScale(inverseScale));
                    long changed = 0;
                    for (int i = 0; i < mixed.tensors(); i++) {
                        HostBuffer gradient = mixed.gradients.get(i);
                        HostBuffer same = before.gradients.get(i);
                        if (gradient == null || same == null) continue;
                        double[] values = Values.read(same);
                        ClipRule own = rule instanceof GroupRule g ? g.rules().get(mixed.group(i)) : rule;
                        for (int k = 0; k < values.length; k++) {
                            values[k] = Rounding.scaled(gradient.dtype(), values[k], inverseScale);
                            if (!(own instanceof ValueRule limits)) continue;
                            double now = Rounding.clamped(gradient.dtype(), values[k], limits.min(), limits.max());
                            if (now != values[k]) changed++;
                            values[k] = now;
                        }
                        assertArrayEquals(values, Values.read(gradient), rule::toString);
                    }
                    assertEquals(changed, result.elementsChanged(), rule::toString);
                    assertEquals(changed > 0, result.clipped());
                }
            }
        }
    }
}
