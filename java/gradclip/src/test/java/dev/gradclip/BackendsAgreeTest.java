// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Real gradients: every figure and every element has the same bits on every backend. */
class BackendsAgreeTest {
    private record Outcome(String backend, List<Double> figures, List<long[]> bits) {}

    private static Outcome clip(TestBackend backend, String file, ClipRule rule) {
        Map<String, HostBuffer> tensors = RealGradients.read(file);
        GradientClipperBuilder builder = backend.builder();
        tensors.forEach((name, buffer) -> builder.add(name, backend.place(buffer)));
        List<Double> figures = new ArrayList<>();
        try (GradientClipper clipper = builder.build()) {
            ClipResult result = clipper.clip(rule);
            figures.addAll(List.of(result.globalNorm(), result.coefficient(), (double) result.elementsChanged()));
            figures.add(result.clipped() ? 1.0 : 0);
            for (int i = 0; i < tensors.size() && !(rule instanceof ValueRule); i++) {
                figures.add(result.tensorNorm(i));
                figures.add(result.tensorCoefficient(i));
            }
        }
        return new Outcome(
                backend.name(),
                figures,
                tensors.values().stream().map(Values::bits).toList());
    }

    @ParameterizedTest
    @ValueSource(strings = {"rnn-calm", "rnn-exploding", "rnn-overflow", "gpt-f32", "gpt-f64", "gpt-mixed"})
    void toTheBit(String file) {
        List<ClipRule> rules = new ArrayList<>();
        for (NormType type : NormContractTest.TYPES) {
            rules.add(ClipRule.globalNorm(0.37).withNormType(type));
            rules.add(ClipRule.perTensorNorm(0.037).withNormType(type));
        }
        rules.add(ClipRule.globalNorm(1e-20).withNonFinitePolicy(NonFinitePolicy.ZERO));
        rules.add(ClipRule.value(1e-3));
        for (ClipRule rule : rules) {
            List<Outcome> outcomes =
                    TestBackend.all().map(b -> clip(b, file, rule)).toList();
            Outcome first = outcomes.get(0);
            for (Outcome outcome : outcomes) {
                String what = file + " " + rule + " on " + outcome.backend();
                assertEquals(first.figures(), outcome.figures(), what);
                for (int i = 0; i < first.bits().size(); i++) {
                    assertArrayEquals(first.bits().get(i), outcome.bits().get(i), what);
                }
            }
        }
    }
}
