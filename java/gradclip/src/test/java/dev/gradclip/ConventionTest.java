// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Conventions where libraries differ: at a norm equal to the threshold, at 0 / 0, at infinity and at NaN. */
class ConventionTest {
    private static final double INF = Double.POSITIVE_INFINITY;
    private static final double NAN = Double.NaN;

    static Stream<TestBackend> backends() {
        return TestBackend.all();
    }

    private static double[] clip(TestBackend backend, NormRule rule, double... values) {
        HostBuffer buffer = Values.buffer(DType.FLOAT32, values);
        try (GradientClipper clipper = backend.clipper(buffer)) {
            clipper.clip(rule);
        }
        return Values.read(buffer);
    }

    @Test
    void epsilons() {
        Map<Convention, Double> epsilons = Map.of(
                Convention.PYTORCH, 1e-6,
                Convention.TENSORFLOW, 0.0,
                Convention.OPTAX, 0.0,
                Convention.KERAS, 0.0,
                Convention.DL4J, 0.0);
        for (Convention convention : Convention.values()) {
            assertEquals(epsilons.get(convention), convention.epsilon());
            assertEquals(
                    convention.epsilon(),
                    ClipRule.globalNorm(1)
                            .withEpsilon(9)
                            .withConvention(convention)
                            .epsilon());
            assertEquals(
                    0.5, ClipRule.adaptive(1, 0.5).withConvention(convention).epsilon());
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void aNormEqualToTheThreshold(TestBackend backend) {
        for (Convention convention : Convention.values()) {
            for (NormRule rule : new NormRule[] {ClipRule.globalNorm(5), ClipRule.perTensorNorm(5)}) {
                double c = convention == Convention.PYTORCH ? (float) (5 / (5 + 1e-6)) : 1;
                assertArrayEquals(
                        new double[] {(float) (3 * c), (float) (4 * c)},
                        clip(backend, rule.withConvention(convention), 3, 4),
                        convention::toString);
            }
        }
    }

    /** TensorFlow and Optax make NaN of 0 / 0; no convention here does. */
    @ParameterizedTest
    @MethodSource("backends")
    void zeroOverZero(TestBackend backend) {
        for (Convention convention : Convention.values()) {
            for (NormRule rule : new NormRule[] {ClipRule.globalNorm(0), ClipRule.perTensorNorm(0)}) {
                assertArrayEquals(
                        new double[] {0, -0.0},
                        clip(backend, rule.withConvention(convention), 0, -0.0),
                        convention::toString);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void norms(TestBackend backend) {
        Map<Convention, double[]> overAll = Map.of(
                Convention.PYTORCH, new double[] {0, NAN},
                Convention.TENSORFLOW, new double[] {NAN, NAN},
                Convention.OPTAX, new double[] {0, NAN},
                Convention.KERAS, new double[] {NAN, NAN},
                Convention.DL4J, new double[] {0, NAN});
        overAll.forEach((convention, expected) -> {
            NormRule all = ClipRule.globalNorm(1).withConvention(convention);
            assertArrayEquals(expected, clip(backend, all, 3, INF), convention::toString);
            NormRule each = ClipRule.perTensorNorm(1).withConvention(convention);
            assertArrayEquals(new double[] {0, NAN}, clip(backend, each, 3, -INF), convention::toString);
            // No comparison finds NaN above the threshold.
            double[] nan = convention == Convention.DL4J ? new double[] {3, NAN} : new double[] {NAN, NAN};
            assertArrayEquals(nan, clip(backend, all, 3, NAN), convention::toString);
            assertArrayEquals(nan, clip(backend, each, 3, NAN), convention::toString);
        });
    }

    /** DL4J's clips compare the norm with the threshold; its renormalisations divide by the norm whatever it is. */
    @ParameterizedTest
    @MethodSource("backends")
    void normalizingDividesByNaN(TestBackend backend) {
        for (Convention convention : Convention.values()) {
            NormRule rule = ClipRule.normalize(1).withConvention(convention);
            for (Scope scope : new Scope[] {Scope.ALL, Scope.TENSOR, Scope.ROW}) {
                NormRule each = rule.withScope(scope);
                assertArrayEquals(new double[] {NAN, NAN}, clip(backend, each, 3, NAN), each::toString);
                assertArrayEquals(new double[] {0, NAN}, clip(backend, each, 3, INF), each::toString);
            }
        }
    }

    @ParameterizedTest
    @EnumSource
    void finiteGradientsBecomeNoNaN(Convention convention) {
        TestBackend java = new TestBackend(Backend.JAVA, -1, "java");
        for (ClipRule rule : EveryRule.norms()) {
            try (MixedTensors mixed = new MixedTensors(java)) {
                mixed.clipper.clip(((NormRule) rule).withConvention(convention).times(0));
                for (HostBuffer gradient : mixed.gradients) {
                    if (gradient == null) continue;
                    for (double x : Values.read(gradient)) assertFalse(Double.isNaN(x), rule::toString);
                }
            }
        }
    }
}
