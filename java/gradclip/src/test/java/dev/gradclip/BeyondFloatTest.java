// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Coefficients that no float holds: gradients so small that unscaling them by 2^128 or more is right. */
class BeyondFloatTest {
    private static final double INF = Double.POSITIVE_INFINITY;

    /** Coefficients from the largest that rounds to a finite float on. */
    private static final double[] COEFFICIENTS = {
        Float.MAX_VALUE,
        Math.nextDown(0x1.ffffffp127),
        0x1.ffffffp127,
        0x1p128,
        3.41e38,
        4.460321369927427E38,
        0x1.123456789abcdp140,
        0x1p149,
        1e100,
        Double.MAX_VALUE
    };

    static Stream<TestBackend> backends() {
        return TestBackend.all();
    }

    private static void assertScaled(DType dtype, double[] before, double coefficient, HostBuffer after) {
        long[] expected = new long[before.length];
        for (int i = 0; i < before.length; i++) {
            expected[i] = Rounding.bits(dtype, Rounding.scaled(dtype, before[i], coefficient));
        }
        assertArrayEquals(expected, Values.bits(after), () -> dtype + " times " + coefficient);
    }

    @ParameterizedTest
    @MethodSource("backends")
    void everyElementIsTheRoundedProduct(TestBackend backend) {
        for (DType dtype : DType.values()) {
            for (double coefficient : COEFFICIENTS) {
                HostBuffer buffer = ScaleTest.allKinds(dtype, 8);
                double[] before = Values.read(buffer);
                try (GradientClipper clipper = backend.clipper(buffer)) {
                    ClipResult result = clipper.clip(ClipRule.globalNorm(INF).withInverseScale(coefficient));
                    assertEquals(coefficient, result.coefficient());
                    assertFalse(result.clipped());
                }
                assertScaled(dtype, before, coefficient, buffer);
            }
        }
    }

    /** No element leaves the range of its type. */
    @ParameterizedTest
    @MethodSource("backends")
    void byHand(TestBackend backend) {
        HostBuffer floats = Values.buffer(DType.FLOAT32, 1e-40, 0.0, -0.0);
        HostBuffer halves = Values.buffer(DType.FLOAT16, 0.0, -0.0);
        HostBuffer bfloats = Values.buffer(DType.BFLOAT16, 0x1p-133, -0.0);
        HostBuffer doubles = Values.buffer(DType.FLOAT64, 1e-40, -0.0);
        try (GradientClipper clipper = backend.clipper(floats, halves, bfloats, doubles)) {
            clipper.clip(ClipRule.globalNorm(INF).withInverseScale(3.41e38));
        }
        assertArrayEquals(new double[] {0.0341, 0.0, -0.0}, Values.read(floats), 1e-6);
        assertArrayEquals(new long[] {0, (short) 0x8000}, Values.bits(halves));
        assertArrayEquals(new double[] {0.0313, -0.0}, Values.read(bfloats), 1e-4);
        assertArrayEquals(new double[] {1e-40 * 3.41e38, -0.0}, Values.read(doubles));

        HostBuffer normalized = Values.buffer(DType.FLOAT32, 1e-39, 0);
        try (GradientClipper clipper = backend.clipper(normalized)) {
            ClipResult result = clipper.clip(ClipRule.normalize(1).withInverseScale(2));
            assertEquals(0x1p128, result.coefficient(), "at most 2^127, times the unscaling");
            assertFalse(result.nonFinite());
        }
        assertArrayEquals(new double[] {0.34, 0}, Values.read(normalized), 0.001);
    }

    /** Elements around 2^-130 times 2^130: all 0 in FLOAT16; subnormal, and therefore inexact, in FLOAT32. */
    @ParameterizedTest
    @MethodSource("backends")
    void everyRuleUnderAPolicy(TestBackend backend) {
        NonFinitePolicy[] policies = NonFinitePolicy.values();
        int next = 0;
        for (ClipRule rule : EveryRule.all()) {
            ClipRule unscaling = rule.withInverseScale(0x1p130).withNonFinitePolicy(policies[next++ % policies.length]);
            try (MixedTensors small = new MixedTensors(backend, 1, 0x1p-130)) {
                double[][] before = read(small);
                ClipResult result = small.clipper.clip(unscaling);
                assertFalse(result.nonFinite());
                for (int i = 0; i < small.tensors(); i++) assertRight(small, i, before[i], unscaling, result);
            }
        }
    }

    private static double[][] read(MixedTensors tensors) {
        return tensors.gradients.stream()
                .map(gradient -> gradient == null ? new double[0] : Values.read(gradient))
                .toArray(double[][]::new);
    }

    private static void assertRight(MixedTensors now, int tensor, double[] before, ClipRule rule, ClipResult result) {
        HostBuffer gradient = now.gradients.get(tensor);
        if (gradient == null) return;
        DType dtype = gradient.dtype();
        double[] after = Values.read(gradient);
        int rowLength = Math.max(1, after.length / now.rows(tensor));
        for (int i = 0; i < after.length; i++) {
            double want;
            if (EveryRule.clamps(rule)) {
                ValueRule clamp = clampOf(rule, now.group(tensor));
                double unscaled = Rounding.scaled(dtype, before[i], rule.inverseScale());
                want = clamp == null ? unscaled : Rounding.clamped(dtype, unscaled, clamp.min(), clamp.max());
            } else {
                if (i % rowLength > 3) continue;
                want = Rounding.scaled(dtype, before[i], result.rowCoefficient(tensor, i / rowLength));
            }
            assertTrue(Double.isFinite(after[i]), rule::toString);
            assertEquals(want, after[i], rule::toString);
        }
    }

    private static @Nullable ValueRule clampOf(ClipRule rule, String group) {
        return rule instanceof GroupRule groups ? (ValueRule) groups.rules().get(group) : (ValueRule) rule;
    }

    /** A coefficient times an inverse scale beyond any double: zeros stay, other elements become too small. */
    @ParameterizedTest
    @MethodSource("backends")
    void beyondDoublesToo(TestBackend backend) {
        for (Scope scope : Scope.values()) {
            HostBuffer doubles = Values.buffer(DType.FLOAT64, Double.MIN_VALUE, -0.0, 0);
            HostBuffer floats = Values.buffer(DType.FLOAT32, 0, -0.0);
            GradientClipperBuilder builder = backend.builder().group("all").add(backend.place(doubles));
            try (GradientClipper clipper = builder.add(backend.place(floats)).build()) {
                ClipResult result =
                        clipper.clip(ClipRule.normalize(1e300).withScope(scope).withInverseScale(1e290));
                assertFalse(result.nonFinite());
                assertEquals(Double.MAX_VALUE, result.rowCoefficient(0, 0));
            }
            double most = Double.MIN_VALUE * Double.MAX_VALUE;
            assertArrayEquals(new double[] {most, -0.0, 0}, Values.read(doubles));
            assertArrayEquals(new double[] {0, -0.0}, Values.read(floats));
        }
    }

    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#onHost")
    void givenAndDecided(TestBackend backend) {
        HostBuffer buffer = Values.buffer(DType.FLOAT32, 0x1p-140, 0);
        try (GradientClipper clipper = backend.clipper(buffer)) {
            NormRule rule = ClipRule.globalNorm(0.5).withEpsilon(0).withInverseScale(0x1p140);
            assertEquals(0x1p139, clipper.decide(rule).coefficient());
            assertEquals(0x1p139, clipper.clipWithNorm(rule, 1).coefficient());
        }
        assertArrayEquals(new double[] {0.5, 0}, Values.read(buffer));
    }

    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("dev.gradclip.TestBackend#onDevices")
    void captured(TestBackend backend) {
        for (ClipRule rule : List.of(ClipRule.globalNorm(0.5).withEpsilon(0), ClipRule.value(0.5))) {
            for (boolean later : new boolean[] {false, true}) {
                HostBuffer buffer = Values.buffer(DType.FLOAT32, 0x1p-140, 0, -0.0);
                try (GradientClipper clipper = backend.clipper(buffer);
                        CudaStream stream = CudaStream.create()) {
                    ClipRule unscaling = rule.withInverseScale(0x1p140);
                    CapturedClip[] clip = new CapturedClip[1];
                    PreparedClip prepared = clipper.prepare(later ? rule : unscaling);
                    try (CudaGraph graph = CudaGraph.capture(stream, () -> clip[0] = prepared.capture(stream))) {
                        if (later) clip[0].setRule(unscaling, stream);
                        graph.launch(stream);
                        stream.synchronize();
                        assertFalse(clip[0].latest().nonFinite());
                    } finally {
                        if (clip[0] != null) clip[0].close();
                    }
                }
                assertArrayEquals(new double[] {0.5, 0, -0.0}, Values.read(buffer), rule::toString);
            }
        }
    }

    @ParameterizedTest
    @EnumSource(Backend.class)
    void streamed(Backend backend) {
        assumeTrue(backend.isAvailable(), backend::reason);
        for (double coefficient : COEFFICIENTS) {
            for (ClipRule rule : List.of(ClipRule.globalNorm(INF), ClipRule.value(INF))) {
                for (DType dtype : DType.values()) {
                    HostBuffer buffer = Values.buffer(dtype, 0.0, -0.0, 0x1p-140, 0x1p-24, -3);
                    double[] before = Values.read(buffer);
                    try (StreamingClip clip = StreamingClip.of(rule.withInverseScale(coefficient), backend, 1)) {
                        if (clip.needsMeasure()) clip.measure(buffer);
                        clip.endTensor("w");
                        clip.decide();
                        clip.apply(0, buffer);
                    }
                    assertScaled(dtype, before, coefficient, buffer);
                }
            }
        }
    }
}
