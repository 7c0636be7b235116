// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** The norm after a clip, which a result has without a second pass. */
class ClippedNormTest {
    private static final double INF = Double.POSITIVE_INFINITY;

    static Stream<TestBackend> backends() {
        return TestBackend.all();
    }

    private static ClipResult clip(TestBackend backend, ClipRule rule, double... values) {
        try (GradientClipper clipper = backend.clipper(Values.buffer(DType.FLOAT64, values))) {
            return clipper.clip(rule);
        }
    }

    /** Gradients (3, 4, 12) have a norm of 13. */
    @ParameterizedTest
    @MethodSource("backends")
    void byHand(TestBackend backend) {
        NormRule rule = ClipRule.globalNorm(6.5).withEpsilon(0);
        assertEquals(6.5, clip(backend, rule, 3, 4, 12).clippedNorm());
        assertEquals(
                13 * (1 / (13 + 1e-6)),
                clip(backend, ClipRule.globalNorm(1), 3, 4, 12).clippedNorm());
        assertEquals(13, clip(backend, ClipRule.globalNorm(13.5), 3, 4, 12).clippedNorm());
        assertEquals(13, clip(backend, ClipRule.globalNorm(INF), 3, 4, 12).clippedNorm());
        assertEquals(0, clip(backend, ClipRule.globalNorm(0), 3, 4, 12).clippedNorm());
        assertEquals(26, clip(backend, ClipRule.normalize(26), 3, 4, 12).clippedNorm());
        assertEquals(0, clip(backend, ClipRule.normalize(26), 0, 0).clippedNorm());
        assertEquals(
                9.5,
                clip(backend, rule.times(9.5 / 6.5).withNormType(NormType.L1), 3, 4, 12)
                        .clippedNorm());
        // Mean of 3 elements: 13 / 3 clipped to 13 / 6.
        assertEquals(
                6.5,
                clip(backend, ClipRule.averageNorm(13 / 6.0).withScope(Scope.ALL), 3, 4, 12)
                        .clippedNorm(),
                1e-14);
    }

    /** The norm is that of unscaled gradients, before and after; a norm within the threshold is the one unscaled. */
    @ParameterizedTest
    @MethodSource("backends")
    void unscaled(TestBackend backend) {
        NormRule rule = ClipRule.globalNorm(6.5).withEpsilon(0).withInverseScale(0.25);
        ClipResult clipped = clip(backend, rule, 12, 16, 48);
        assertEquals(6.5, clipped.clippedNorm());
        assertEquals(0.125, clipped.coefficient());
        ClipResult within = clip(backend, rule.times(4), 12, 16, 48);
        assertEquals(13, within.clippedNorm());
        assertEquals(0.25, within.coefficient());
    }

    @ParameterizedTest
    @MethodSource("backends")
    void isTheNormMeasuredAfterwards(TestBackend backend) {
        double[] values = Values.normal(7, 5000, 3);
        for (ClipRule rule : EveryRule.norms()) {
            if (!((NormRule) rule).hasOneCoefficient()) continue;
            for (double inverseScale : new double[] {1, 0.3, 1e10}) {
                try (GradientClipper clipper = backend.clipper(Values.buffer(DType.FLOAT64, values))) {
                    double expected =
                            clipper.clip(rule.withInverseScale(inverseScale)).clippedNorm();
                    assertEquals(expected, clipper.globalNorm(), expected * 1e-14, rule::toString);
                }
            }
        }
    }

    /** A coefficient that rounds to 1 in float changes nothing, and so the norm does not change. */
    @ParameterizedTest
    @MethodSource("backends")
    void ofACoefficientThatRoundsToOne(TestBackend backend) {
        try (GradientClipper clipper = backend.clipper(Values.buffer(DType.FLOAT32, 3, 4))) {
            ClipResult result = clipper.clip(ClipRule.globalNorm(5 - 1e-9).withEpsilon(0));
            assertFalse(result.clipped());
            assertEquals(5, result.clippedNorm());
        }
    }

    /** Norms that no double holds: the coefficient is right, and so is the norm after it. */
    @ParameterizedTest
    @MethodSource("backends")
    void ofANormBeyondDoubles(TestBackend backend) {
        ClipResult result = clip(backend, ClipRule.globalNorm(1), 1.5e308, 1.5e308, -1.5e308);
        assertEquals(INF, result.globalNorm());
        assertFalse(result.nonFinite());
        assertEquals(1, result.clippedNorm(), 1e-14);
        assertEquals(
                INF, clip(backend, ClipRule.globalNorm(INF), 1.5e308, 1.5e308).clippedNorm());
        assertEquals(0, clip(backend, ClipRule.globalNorm(0), 1.5e308, 1.5e308).clippedNorm());
        // 2^-1060 squared is below any double: the sum is kept scaled.
        double small = 0x1p-1060;
        assertEquals(
                5 * small * 0x1p127,
                clip(backend, ClipRule.normalize(1), 3 * small, 4 * small).clippedNorm());
    }

    @ParameterizedTest
    @MethodSource("backends")
    void ofGradientsThatAreNotFinite(TestBackend backend) {
        ClipRule rule = ClipRule.globalNorm(1);
        for (double odd : new double[] {Double.NaN, INF}) {
            assertEquals(Double.NaN, clip(backend, rule, 3, odd).clippedNorm());
            ClipResult skipped = clip(backend, rule.withNonFinitePolicy(NonFinitePolicy.SKIP), 3, odd);
            assertEquals(odd, skipped.clippedNorm());
            assertEquals(odd, skipped.globalNorm());
            assertEquals(1, skipped.coefficient());
            ClipRule zeroing = ClipRule.globalNorm(2).withEpsilon(0).withNonFinitePolicy(NonFinitePolicy.ZERO);
            assertEquals(2, clip(backend, zeroing, 3, odd, 4).clippedNorm());
        }
        NormRule dl4j = ClipRule.globalNorm(1).withConvention(Convention.DL4J);
        assertEquals(Double.NaN, clip(backend, dl4j, 3, Double.NaN).clippedNorm());
    }

    @ParameterizedTest
    @MethodSource("backends")
    void isNaNWithoutOneCoefficient(TestBackend backend) {
        for (ClipRule rule : EveryRule.all()) {
            try (MixedTensors mixed = new MixedTensors(backend)) {
                ClipResult result = mixed.clipper.clip(rule);
                boolean isOne = rule instanceof NormRule norm && norm.hasOneCoefficient();
                assertEquals(isOne, !Double.isNaN(result.clippedNorm()), rule::toString);
                assertEquals(EveryRule.clamps(rule), result.elementsChanged() > 0, rule::toString);
            }
        }
        GroupRule one = ClipRule.perGroup(Map.of("all", ClipRule.globalNorm(1)));
        GradientClipperBuilder builder = backend.builder().group("all");
        try (GradientClipper clipper =
                builder.add(backend.place(Values.buffer(DType.FLOAT32, 3, 4))).build()) {
            assertEquals(Double.NaN, clipper.clip(one).clippedNorm());
        }
    }

    /** A value rule's count and a norm rule's norm are kept in one place. */
    @ParameterizedTest
    @MethodSource("backends")
    void standsBesideTheCountOfAValueRule(TestBackend backend) {
        ClipResult clamped = clip(backend, ClipRule.value(3.5), 3, 4, 12);
        assertEquals(2, clamped.elementsChanged());
        assertEquals(Double.NaN, clamped.clippedNorm());
        assertTrue(clamped.toString().endsWith("elementsChanged=2]"), clamped::toString);
        ClipResult scaled = clip(backend, ClipRule.globalNorm(1), 3, 4, 12);
        assertEquals(0, scaled.elementsChanged());
        assertFalse(scaled.toString().contains("elementsChanged"), scaled::toString);
        ClipResult ofNaN = clip(backend, ClipRule.globalNorm(1), Double.NaN);
        assertEquals(0, ofNaN.elementsChanged());
    }

    @ParameterizedTest
    @MethodSource("backends")
    void ofDecisionsAndGivenNorms(TestBackend backend) {
        HostBuffer gradient = Values.buffer(DType.FLOAT64, 3, 4, 12);
        try (GradientClipper clipper = backend.clipper(gradient)) {
            NormRule rule = ClipRule.globalNorm(6.5).withEpsilon(0);
            assertEquals(6.5, clipper.decide(rule).clippedNorm());
            assertEquals(6.5, clipper.clipWithNorm(rule, 26).clippedNorm());
            assertEquals(5, clipper.clipWithNorm(rule, 5).clippedNorm());
        }
    }

    @ParameterizedTest
    @EnumSource(
            value = Backend.class,
            names = {"JAVA", "NATIVE"})
    void streamed(Backend backend) {
        assumeTrue(backend.isAvailable(), backend::reason);
        for (ClipRule rule : List.of(ClipRule.globalNorm(6.5).withEpsilon(0), ClipRule.globalNorm(20))) {
            HostBuffer gradient = Values.buffer(DType.FLOAT64, 3, 4, 12);
            try (StreamingClip clip = StreamingClip.of(rule, backend, 1)) {
                clip.measure(gradient);
                clip.endTensor("w");
                assertEquals(Double.NaN, clip.result().clippedNorm());
                clip.decide();
                assertEquals(
                        Math.min(13, ((NormRule) rule).max()), clip.result().clippedNorm());
            }
        }
    }
}
