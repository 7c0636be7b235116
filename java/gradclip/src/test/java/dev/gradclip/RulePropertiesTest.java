// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Properties that every rule has by its definition, on seeded random gradients. */
class RulePropertiesTest {
    private static final TestBackend JAVA = new TestBackend(Backend.JAVA, -1, "java");

    private static double dot(double[] a, double[] b) {
        double sum = 0;
        for (int i = 0; i < a.length; i++) sum += a[i] * b[i];
        return sum;
    }

    private static double[] random(long seed, int length) {
        Random random = new Random(seed);
        return Values.normal(seed, length, Math.scalb(1.0, random.nextInt(40) - 20));
    }

    private static List<NormRule> rules(double c) {
        return List.of(
                ClipRule.globalNorm(c),
                ClipRule.perTensorNorm(c),
                ClipRule.perRowNorm(c),
                ClipRule.normalizeAbove(c, c),
                ClipRule.averageNorm(c),
                ClipRule.blockRms(c),
                ClipRule.adaptive(c));
    }

    @Test
    void normsDoNotGrowAndDirectionsStay() {
        for (long seed = 0; seed < 200; seed++) {
            Random random = new Random(seed);
            double[] values = random(seed, 1 + random.nextInt(3000));
            double c = Math.scalb(1.0, random.nextInt(30) - 15);
            for (NormRule rule : rules(c)) {
                double[] after = clipped(rule, values, seed);
                double n = Math.sqrt(dot(values, values));
                double now = Math.sqrt(dot(after, after));
                assertTrue(now <= n, () -> n + " became " + now + " by " + rule);
                if (n == 0 || now == 0) continue;
                assertEquals(1, dot(values, after) / (n * now), 1e-12, rule::toString);
            }
        }
    }

    private static double[] clipped(ClipRule rule, double[] values, long seed) {
        HostBuffer buffer = Values.buffer(DType.FLOAT64, values);
        HostBuffer weights = Values.buffer(DType.FLOAT64, random(-1 - seed, values.length));
        try (GradientClipper clipper =
                JAVA.builder().group("all").add(buffer).weights(weights).build()) {
            clipper.clip(rule);
        }
        return Values.read(buffer);
    }

    /** Optax' test: the bound holds for thresholds 1, 1/2, 1/3, … 1/50, one after the other. */
    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#all")
    void fiftyShrinkingThresholds(TestBackend backend) {
        HostBuffer a = Values.buffer(DType.FLOAT32, 0, -3, 4);
        HostBuffer b = Values.buffer(DType.FLOAT64, 12);
        try (GradientClipper clipper = backend.clipper(a, b)) {
            for (int i = 1; i <= 50; i++) {
                clipper.clip(ClipRule.globalNorm(1.0 / i).withConvention(Convention.OPTAX));
                assertEquals(1.0 / i, clipper.globalNorm(), 1e-7 / i);
                double once = clipper.globalNorm();
                clipper.clip(ClipRule.globalNorm(1.0 / i).withConvention(Convention.OPTAX));
                assertEquals(once, clipper.globalNorm(), 1e-7 * once, "again");
                clipper.clip(ClipRule.globalNorm(2.0 / i).withConvention(Convention.OPTAX));
                assertEquals(once, clipper.globalNorm(), 1e-7 * once, "a wider one");
            }
            for (int i = 1; i <= 50; i++) {
                clipper.clip(ClipRule.normalize(i));
                assertEquals(i, clipper.globalNorm(), 1e-6 * i);
            }
        }
    }

    /** A second clip changes nothing, except by rounding. */
    @Test
    void againChangesNothing() {
        for (long seed = 0; seed < 100; seed++) {
            double[] values = random(seed, 1 + (int) (seed * 7));
            for (NormRule rule : rules(0.01)) {
                NormRule exact = rule.withConvention(Convention.OPTAX);
                double[] once = clipped(exact, values, seed);
                double most = ExactNorm.max(once);
                assertArrayEquals(once, clipped(exact, once, seed), 1e-15 * most, rule::toString);
            }
            double[] clamped = clipped(ClipRule.value(-0.01, 0.02), values, seed);
            assertArrayEquals(clamped, clipped(ClipRule.value(-0.01, 0.02), clamped, seed));
        }
    }

    /** Gradients and thresholds 2^k times as large give elements 2^k times as large, to the bit. */
    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#all")
    void scaleGoesThrough(TestBackend backend) {
        for (ClipRule rule : EveryRule.all()) {
            for (double factor : new double[] {0x1p8, 0x1p-8}) {
                try (MixedTensors plain = new MixedTensors(backend, 1, 1);
                        MixedTensors scaled = new MixedTensors(backend, 1, factor)) {
                    ClipResult want = plain.clipper.clip(rule);
                    ClipResult got = scaled.clipper.clip(rule.times(factor));
                    assertEquals(want.globalNorm() * factor, got.globalNorm());
                    assertEquals(want.coefficient(), got.coefficient(), rule::toString);
                    assertEquals(want.elementsChanged(), got.elementsChanged(), rule::toString);
                    for (int i = 0; i < plain.tensors(); i++) {
                        HostBuffer expected = plain.gradients.get(i);
                        HostBuffer found = scaled.gradients.get(i);
                        if (expected == null || found == null) continue;
                        // Products below 2^-14 round differently in FLOAT16.
                        if (expected.dtype() == DType.FLOAT16 && factor < 1) continue;
                        double[] values = Values.read(expected);
                        for (int k = 0; k < values.length; k++) values[k] *= factor;
                        assertArrayEquals(values, Values.read(found), rule::toString);
                    }
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#all")
    void oneRowIsATensorAndOneTensorIsAll(TestBackend backend) {
        double[] values = Values.normal(3, 5000, 1);
        for (DType dtype : DType.values()) {
            for (NormRule rule : List.of(
                    ClipRule.globalNorm(2),
                    ClipRule.normalize(2),
                    ClipRule.averageNorm(1e-3),
                    ClipRule.blockRms(0.5))) {
                long[] first = {};
                for (Scope scope : Scope.values()) {
                    HostBuffer buffer = Values.buffer(dtype, values);
                    try (GradientClipper clipper = backend.builder()
                            .group("all")
                            .add(backend.place(buffer))
                            .rows(1)
                            .build()) {
                        assertTrue(clipper.clip(rule.withScope(scope)).clipped());
                    }
                    if (first.length > 0) assertArrayEquals(first, Values.bits(buffer), () -> rule + " " + scope);
                    first = Values.bits(buffer);
                }
            }
        }
    }

    /** Gradients of 0 are not clipped, though c / (0 + ε) is less than 1: no tensor, row or report says so. */
    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#all")
    void zerosAreNotClipped(TestBackend backend) {
        for (ClipRule rule : EveryRule.allByNorm()) {
            for (ClipRule small :
                    List.of(rule.times(1e-12), rule.times(0), rule.times(1e-9).withInverseScale(0.5))) {
                try (MixedTensors zeros = new MixedTensors(backend, 0, 0)) {
                    List<long[]> before = zeros.bits();
                    ClipResult result = zeros.clipper.clip(small);
                    assertFalse(result.clipped(), small::toString);
                    assertEquals(0, result.globalNorm());
                    for (int i = 0; i < zeros.tensors(); i++) {
                        assertEquals(small.inverseScale(), result.rowCoefficient(i, zeros.rows(i) - 1));
                    }
                    List<long[]> after = zeros.bits();
                    for (int i = 0; i < before.size(); i++) assertArrayEquals(before.get(i), after.get(i));
                }
            }
        }
        List<ClipEvent> heard = new ArrayList<>();
        HostBuffer buffer = Values.buffer(DType.FLOAT64, 0, -0.0);
        GradientClipperBuilder builder = backend.builder().listener(heard::add);
        try (GradientClipper clipper = builder.add(backend.place(buffer)).build()) {
            assertFalse(clipper.clipByGlobalNorm(1e-7).clipped());
            assertEquals(1, clipper.decide(ClipRule.globalNorm(1e-7)).coefficient());
            // A given norm may be that of other elements.
            assertEquals(1e-7 / 1e-6, clipper.clipWithNorm(1e-7, 0).coefficient());
            clipper.clipByGlobalNorm(0);
        }
        assertEquals(
                List.of(false, false, true, false),
                heard.stream().map(ClipEvent::clipped).toList());
        assertEquals(
                List.of(1.0, 1.0, 1e-7 / 1e-6, 1.0),
                heard.stream().map(ClipEvent::coefficient).toList());
    }

    /** A row of zeros is not clipped beside a row of others, in a clipper and in a stream. */
    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#all")
    void aRowOfZerosIsNotClipped(TestBackend backend) {
        NormRule rule = ClipRule.perRowNorm(1e-7);
        HostBuffer rows = Values.buffer(DType.FLOAT32, 3, 4, 0, -0.0);
        try (StreamingClip clip = StreamingClip.of(rule, Backend.JAVA, 1)) {
            clip.rows(2, 2);
            clip.measure(rows);
            clip.endTensor("w");
            assertTrue(clip.decide().clipped());
            assertEquals(1, clip.clippedRows(0));
        }
        GradientClipperBuilder builder =
                backend.builder().add(backend.place(rows)).rows(2);
        try (GradientClipper clipper = builder.build()) {
            ClipResult result = clipper.clip(rule);
            assertTrue(result.clipped());
            assertEquals(1e-7 / (5 + 1e-6), result.rowCoefficient(0, 0));
            assertEquals(1, result.rowCoefficient(0, 1));
        }
    }

    /** No form divides by 0: no element, one element, zeros. */
    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#all")
    void nothingAndZeros(TestBackend backend) {
        double[][] cases = {{}, {0}, {-0.0}, {0, -0.0, 0}};
        for (double[] values : cases) {
            for (double c : new double[] {0, 1e-300, 1}) {
                for (NormRule rule : rules(c)) {
                    HostBuffer buffer = Values.buffer(DType.FLOAT32, values);
                    long[] before = Values.bits(buffer);
                    try (GradientClipper clipper = backend.builder()
                            .add(backend.place(buffer))
                            .weights(backend.place(Values.buffer(DType.FLOAT32, values)))
                            .build()) {
                        ClipResult result = clipper.clip(rule);
                        assertFalse(result.nonFinite());
                        assertFalse(Double.isNaN(result.rowCoefficient(0, 0)), rule::toString);
                        assertEquals(0, result.globalNorm());
                    }
                    assertArrayEquals(before, Values.bits(buffer), rule::toString);
                }
            }
        }
    }
}
