// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** NaN and infinities anywhere under each policy and rule, and huge gradients, which are finite. */
class NonFiniteTest {
    private static final double INF = Double.POSITIVE_INFINITY;
    private static final double[] ODD = {INF, -INF, Double.NaN};
    private static final NormType[] TYPES = {
        NormType.p(0.5), NormType.L1, NormType.p(1.5), NormType.L2, NormType.p(4), NormType.INF
    };
    private static final int[] SIZES = {3, 2100, 5};

    static Stream<TestBackend> backends() {
        return TestBackend.all();
    }

    /** Three tensors, with the odd element first, in the middle or last in one of them, or everywhere in it. */
    private record Case(DType dtype, double odd, int tensor, int place) {
        static final int EVERYWHERE = 3;

        HostBuffer[] buffers() {
            HostBuffer[] buffers = new HostBuffer[SIZES.length];
            for (int t = 0; t < SIZES.length; t++) {
                double[] values = Values.normal(t, SIZES[t], 3);
                if (t == tensor && place == EVERYWHERE) java.util.Arrays.fill(values, odd);
                else if (t == tensor) values[place * (SIZES[t] - 1) / 2] = odd;
                buffers[t] = Values.buffer(dtype, values);
            }
            return buffers;
        }

        static void each(Consumer<Case> check) {
            for (DType dtype : DType.values()) {
                for (double odd : ODD) {
                    for (int tensor = 0; tensor < SIZES.length; tensor++) {
                        for (int place = 0; place <= EVERYWHERE; place++) {
                            check.accept(new Case(dtype, odd, tensor, place));
                        }
                    }
                }
            }
        }
    }

    private static List<long[]> bits(HostBuffer[] buffers) {
        return Stream.of(buffers).map(Values::bits).toList();
    }

    private static void assertBits(List<long[]> expected, HostBuffer[] buffers, Object what) {
        for (int i = 0; i < buffers.length; i++) {
            assertArrayEquals(expected.get(i), Values.bits(buffers[i]), what::toString);
        }
    }

    private static List<ClipRule> rules(NonFinitePolicy policy) {
        List<ClipRule> rules = new ArrayList<>();
        for (NormType type : TYPES) {
            rules.add(ClipRule.globalNorm(0.7).withNormType(type).withNonFinitePolicy(policy));
            rules.add(ClipRule.perTensorNorm(0.7).withNormType(type).withNonFinitePolicy(policy));
        }
        rules.add(ClipRule.value(-0.5, 0.7).withNonFinitePolicy(policy));
        return rules;
    }

    @ParameterizedTest
    @MethodSource("backends")
    void errorNamesTheTensorAndChangesNothing(TestBackend backend) {
        Case.each(test -> {
            HostBuffer[] buffers = test.buffers();
            List<long[]> before = bits(buffers);
            GradientClipperBuilder builder = backend.builder();
            for (int i = 0; i < buffers.length; i++) builder.add("layer" + i, backend.place(buffers[i]));
            try (GradientClipper clipper = builder.build()) {
                for (ClipRule rule : rules(NonFinitePolicy.ERROR)) {
                    NonFiniteGradientException e =
                            assertThrows(NonFiniteGradientException.class, () -> clipper.clip(rule));
                    assertEquals("layer" + test.tensor(), e.tensor());
                    assertTrue(String.valueOf(e.getMessage()).contains(e.tensor()), e::getMessage);
                    assertBits(before, buffers, test + " " + rule);
                }
            }
        });
    }

    @ParameterizedTest
    @MethodSource("backends")
    void skipSaysSoAndChangesNothing(TestBackend backend) {
        Case.each(test -> {
            HostBuffer[] buffers = test.buffers();
            List<long[]> before = bits(buffers);
            try (GradientClipper clipper = backend.clipper(buffers)) {
                for (ClipRule rule : rules(NonFinitePolicy.SKIP)) {
                    ClipResult result = clipper.clip(rule);
                    assertTrue(result.nonFinite());
                    assertFalse(result.clipped());
                    assertEquals(0, result.elementsChanged());
                    if (!(rule instanceof ValueRule)) assertFalse(Double.isFinite(result.globalNorm()));
                    assertBits(before, buffers, test + " " + rule);
                }
            }
        });
    }

    @ParameterizedTest
    @MethodSource("backends")
    void zeroClipsAsIfTheyHadBeenZero(TestBackend backend) {
        Case.each(test -> {
            for (ClipRule rule : rules(NonFinitePolicy.ZERO)) {
                HostBuffer[] buffers = test.buffers();
                HostBuffer[] zeroed = new HostBuffer[buffers.length];
                long changed = 0;
                for (int i = 0; i < buffers.length; i++) {
                    double[] values = Values.read(buffers[i]);
                    for (int k = 0; k < values.length; k++) {
                        if (Double.isFinite(values[k])) continue;
                        values[k] = 0;
                        changed++;
                    }
                    zeroed[i] = Values.buffer(test.dtype(), values);
                }
                try (GradientClipper clipper = backend.clipper(buffers);
                        GradientClipper expected = backend.clipper(zeroed)) {
                    ClipResult got = clipper.clip(rule);
                    ClipResult want = expected.clip(rule.withNonFinitePolicy(NonFinitePolicy.PROPAGATE));
                    assertTrue(got.nonFinite());
                    assertEquals(want.globalNorm(), got.globalNorm());
                    assertEquals(want.coefficient(), got.coefficient());
                    if (rule instanceof ValueRule) {
                        assertEquals(want.elementsChanged() + changed, got.elementsChanged());
                    }
                }
                assertBits(bits(zeroed), buffers, test + " " + rule);
            }
        });
    }

    @ParameterizedTest
    @MethodSource("backends")
    void propagateGoesOnWithTheFormula(TestBackend backend) {
        Case.each(test -> {
            for (ClipRule rule : rules(NonFinitePolicy.PROPAGATE)) {
                HostBuffer[] buffers = test.buffers();
                double[][] before = Stream.of(buffers).map(Values::read).toArray(double[][]::new);
                double[] c = new double[buffers.length];
                try (GradientClipper clipper = backend.clipper(buffers)) {
                    ClipResult result = clipper.clip(rule);
                    if (rule instanceof ValueRule) {
                        assertFalse(result.nonFinite());
                    } else {
                        assertTrue(result.nonFinite());
                        assertEquals(Math.abs(test.odd()), result.globalNorm());
                        for (int i = 0; i < c.length; i++) c[i] = result.tensorCoefficient(i);
                        assertEquals(Double.isNaN(test.odd()) ? Double.NaN : 0, c[test.tensor()]);
                    }
                }
                for (int i = 0; i < buffers.length; i++) {
                    double[] after = Values.read(buffers[i]);
                    for (int k = 0; k < after.length; k++) {
                        double x = before[i][k];
                        double want = rule instanceof ValueRule r
                                ? Rounding.clamped(test.dtype(), x, r.min(), r.max())
                                : Rounding.scaled(test.dtype(), x, c[i]);
                        assertEquals(want, after[k], () -> test + " " + rule);
                    }
                }
            }
        });
    }

    @ParameterizedTest
    @MethodSource("backends")
    void whatIsWrittenAsNaNIsTheCanonicalOne(TestBackend backend) {
        for (DType dtype : DType.values()) {
            long canonical = switch (dtype) {
                case FLOAT64 -> 0x7ff8000000000000L;
                case FLOAT32 -> 0x7fffffff;
                case FLOAT16, BFLOAT16 -> 0x7fff;
            };
            for (double odd : ODD) {
                HostBuffer buffer = Values.buffer(dtype, 1, odd, -2);
                try (GradientClipper clipper = backend.clipper(buffer)) {
                    clipper.clipByGlobalNorm(1);
                }
                long[] bits = Values.bits(buffer);
                assertEquals(canonical, bits[1], () -> dtype + " from " + odd);
                if (Double.isNaN(odd)) {
                    assertEquals(canonical, bits[0]);
                    assertEquals(canonical, bits[2]);
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void hugeFiniteGradientsAreNoErrorUnderAnyPolicy(TestBackend backend) {
        for (double huge : new double[] {2e22, -2e22, 2e200, -2e200}) {
            for (DType dtype : DType.values()) {
                if (!Double.isFinite(Rounding.nearest(dtype, huge))) continue;
                for (NonFinitePolicy policy : NonFinitePolicy.values()) {
                    for (boolean all : new boolean[] {true, false}) {
                        for (ClipRule rule : rules(policy)) {
                            double[] values = Values.constant(2100, all ? huge : 1);
                            values[1050] = huge;
                            HostBuffer buffer = Values.buffer(dtype, values);
                            try (GradientClipper clipper = backend.clipper(buffer)) {
                                ClipResult result = clipper.clip(rule);
                                assertFalse(result.nonFinite(), () -> huge + " " + dtype + " " + rule);
                                assertTrue(result.clipped());
                            }
                            for (double x : Values.read(buffer)) assertTrue(Math.abs(x) <= 0.71, () -> "left " + x);
                            assertTrue(Values.read(buffer)[1050] != 0, () -> huge + " " + dtype + " " + rule);
                        }
                    }
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void thePerTensorRuleLeavesTheOthersAlone(TestBackend backend) {
        HostBuffer good = Values.buffer(DType.FLOAT32, 0.1, 0.2);
        HostBuffer bad = Values.buffer(DType.FLOAT32, 1, INF);
        HostBuffer long1 = Values.buffer(DType.FLOAT32, 3, 4);
        try (GradientClipper clipper = backend.clipper(good, bad, long1)) {
            ClipResult result = clipper.clip(ClipRule.perTensorNorm(1).withEpsilon(0));
            assertTrue(result.nonFinite());
            assertEquals(1, result.tensorCoefficient(0));
            assertEquals(0, result.tensorCoefficient(1));
            assertEquals(0.2, result.tensorCoefficient(2));
        }
        assertArrayEquals(new double[] {0.1f, 0.2f}, Values.read(good));
        assertArrayEquals(new double[] {0, Double.NaN}, Values.read(bad));
        assertArrayEquals(new double[] {0.6f, 0.8f}, Values.read(long1), 1e-7);
    }

    @ParameterizedTest
    @MethodSource("backends")
    void clipWithNormHeedsThePolicy(TestBackend backend) {
        HostBuffer buffer = Values.buffer(DType.FLOAT32, 1, 2);
        long[] before = Values.bits(buffer);
        try (GradientClipper clipper = backend.clipper(buffer)) {
            NormRule rule = ClipRule.globalNorm(1);
            NormRule error = rule.withNonFinitePolicy(NonFinitePolicy.ERROR);
            NormRule skip = rule.withNonFinitePolicy(NonFinitePolicy.SKIP);
            NormRule zero = rule.withNonFinitePolicy(NonFinitePolicy.ZERO);
            for (double norm : new double[] {INF, Double.NaN}) {
                assertThrows(NonFiniteGradientException.class, () -> clipper.clipWithNorm(error, norm));
                assertTrue(clipper.clipWithNorm(skip, norm).nonFinite());
            }
            assertThrows(IllegalArgumentException.class, () -> clipper.clipWithNorm(zero, 1));
            assertThrows(IllegalArgumentException.class, () -> clipper.clipWithNorm(1, -1));
            assertArrayEquals(before, Values.bits(buffer));
            assertTrue(clipper.clipWithNorm(1, INF).nonFinite());
            assertArrayEquals(new double[] {0, 0}, Values.read(buffer));
        }
    }
}
