// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Clips by {@code measure(group)} … {@code apply(rule)}: the bits of one clip, and no stale measurements. */
class AccumulateTest {
    static Stream<TestBackend> backends() {
        return TestBackend.all();
    }

    private static HostBuffer[] buffers() {
        HostBuffer[] buffers = new HostBuffer[9];
        for (int i = 0; i < 9; i++) {
            buffers[i] = Values.buffer(DType.values()[i % 4], Values.normal(i, i == 4 ? 0 : 3000 * i + 1, 1));
        }
        return buffers;
    }

    /** A model with groups "a" of four tensors, "none" of no tensor and "b" of five. */
    private static GradientClipper grouped(TestBackend backend, HostBuffer... buffers) {
        GradientClipperBuilder builder = backend.builder().group("a");
        for (int i = 0; i < buffers.length; i++) {
            if (i == 4) builder.group("none").group("b");
            builder.add(backend.place(buffers[i]));
        }
        return builder.build();
    }

    private static List<ClipRule> rules() {
        return List.of(
                ClipRule.globalNorm(1),
                ClipRule.globalNorm(1).withNormType(NormType.L1),
                ClipRule.globalNorm(1).withNormType(NormType.INF),
                ClipRule.globalNorm(1).withNormType(NormType.p(3)),
                ClipRule.perTensorNorm(1),
                ClipRule.globalNorm(1).withNonFinitePolicy(NonFinitePolicy.ZERO),
                ClipRule.value(0.5));
    }

    private static NormType typeOf(ClipRule rule) {
        if (rule instanceof NormRule r) return r.normType();
        return NormType.L2;
    }

    @ParameterizedTest
    @MethodSource("backends")
    void measuringByGroupGivesTheBitsOfOneClip(TestBackend backend) {
        for (ClipRule rule : rules()) {
            HostBuffer[] some = buffers();
            HostBuffer[] same = buffers();
            try (GradientClipper parts = grouped(backend, some);
                    GradientClipper whole = backend.clipper(same)) {
                parts.measure("b", typeOf(rule));
                parts.measure("a", typeOf(rule));
                parts.measure("none", typeOf(rule));
                parts.measure("b", typeOf(rule));
                ClipResult got = parts.apply(rule);
                ClipResult want = whole.clip(rule);
                assertEquals(want.toString(), got.toString());
                if (!(rule instanceof ValueRule)) assertEquals(want.tensorNorm(3), got.tensorNorm(3));
            }
            for (int i = 0; i < some.length; i++) {
                assertArrayEquals(Values.bits(same[i]), Values.bits(some[i]), rule::toString);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void aMissingGroupIsNamedAndCanBeMadeUpFor(TestBackend backend) {
        try (GradientClipper clipper = grouped(backend, buffers())) {
            clipper.measure("a");
            IllegalStateException e =
                    assertThrows(IllegalStateException.class, () -> clipper.apply(ClipRule.globalNorm(1)));
            assertTrue(String.valueOf(e.getMessage()).contains("tensor 4"), e::getMessage);
            clipper.measure("b");
            assertTrue(clipper.apply(ClipRule.globalNorm(1)).clipped());
            assertThrows(IllegalStateException.class, () -> clipper.apply(ClipRule.globalNorm(1)));
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void anotherNormTypeIsRefused(TestBackend backend) {
        try (GradientClipper clipper = grouped(backend, buffers())) {
            clipper.measure("a", NormType.L1);
            assertThrows(IllegalStateException.class, () -> clipper.measure("b", NormType.L2));
            clipper.measure("b", NormType.L1);
            assertThrows(IllegalStateException.class, () -> clipper.apply(ClipRule.globalNorm(1)));
            assertTrue(clipper.apply(ClipRule.globalNorm(1).withNormType(NormType.L1))
                    .clipped());
            clipper.measure("a", NormType.L2);
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void anUnknownGroupIsNamedWithTheGroupsThereAre(TestBackend backend) {
        try (GradientClipper clipper = grouped(backend, buffers())) {
            IllegalArgumentException e = assertThrows(IllegalArgumentException.class, () -> clipper.measure("c"));
            String message = String.valueOf(e.getMessage());
            assertTrue(message.contains("'c'") && message.contains("a, none, b"), message);
        }
    }

    /** Any other call in between has measured or changed other things. */
    @ParameterizedTest
    @MethodSource("backends")
    void anotherCallInBetweenForgetsWhatWasMeasured(TestBackend backend) {
        List<Consumer<GradientClipper>> others = List.of(
                GradientClipper::globalNorm,
                clipper -> clipper.globalNorm(NormType.L1),
                clipper -> clipper.clipByGlobalNorm(1),
                clipper -> clipper.clipByValue(1),
                clipper -> clipper.clipWithNorm(1, 2),
                clipper -> clipper.rebind(backend.place(List.of(buffers()))));
        for (Consumer<GradientClipper> other : others) {
            try (GradientClipper clipper = grouped(backend, buffers())) {
                clipper.measure("a");
                clipper.measure("b");
                other.accept(clipper);
                assertThrows(IllegalStateException.class, () -> clipper.apply(ClipRule.globalNorm(1)));
                clipper.measure("a");
                clipper.measure("b");
                clipper.apply(ClipRule.globalNorm(1));
            }
        }
    }

    /** Gradients are measured as they come, but the weights that they are compared with when the clip is decided. */
    @ParameterizedTest
    @MethodSource("backends")
    void adaptiveComparesWithTheWeightsOfNow(TestBackend backend) {
        HostBuffer a = Values.buffer(DType.FLOAT32, 3, 4, 6, 8);
        HostBuffer b = Values.buffer(DType.FLOAT64, 5, 0);
        HostBuffer weights = Values.buffer(DType.FLOAT32, 1, 0, 0, 2);
        try (GradientClipper clipper = backend.builder()
                .group("first")
                .add(backend.place(a))
                .rows(2)
                .weights(DType.FLOAT32)
                .group("second")
                .add(backend.place(b))
                .build()) {
            clipper.measure("second");
            clipper.measure("first");
            clipper.rebindWeights(backend.place(Arrays.asList(weights, null)));
            ClipResult result = clipper.apply(ClipRule.adaptive(1));
            assertEquals(0.2, result.rowCoefficient(0, 0));
            assertEquals(0.2, result.rowCoefficient(0, 1));
            assertEquals(1, result.tensorCoefficient(1), "it has no weights");
        }
        assertArrayEquals(new double[] {0.6f, 0.8f, 1.2f, 1.6f}, Values.read(a), 1e-7);
        assertArrayEquals(new double[] {5, 0}, Values.read(b));
    }

    /** The norm measured before counts elements that ZERO then sets to 0. */
    @ParameterizedTest
    @MethodSource("backends")
    void whatIsZeroedIsMeasuredAgain(TestBackend backend) {
        HostBuffer a = Values.buffer(DType.FLOAT32, 3, Double.NaN);
        HostBuffer b = Values.buffer(DType.FLOAT64, Double.NEGATIVE_INFINITY, 4);
        try (GradientClipper clipper = backend.builder()
                .group("a")
                .add(backend.place(a))
                .group("b")
                .add(backend.place(b))
                .build()) {
            clipper.measure("a");
            clipper.measure("b");
            NormRule rule = ClipRule.globalNorm(2.5).withEpsilon(0);
            ClipResult result = clipper.apply(rule.withNonFinitePolicy(NonFinitePolicy.ZERO));
            assertEquals(5, result.globalNorm());
            assertEquals(0.5, result.coefficient());
            assertTrue(result.nonFinite());
        }
        assertArrayEquals(new double[] {1.5, 0}, Values.read(a));
        assertArrayEquals(new double[] {0, 2}, Values.read(b));
    }

    @ParameterizedTest
    @MethodSource("backends")
    void whatIsRefusedInBetweenForgetsNothing(TestBackend backend) {
        HostBuffer[] buffers = buffers();
        try (GradientClipper clipper = grouped(backend, buffers)) {
            clipper.measure("a");
            clipper.measure("b");
            HostBuffer[] others = buffers.clone();
            others[8] = Values.buffer(DType.FLOAT64, 1);
            assertThrows(IllegalArgumentException.class, () -> clipper.rebind(backend.place(Arrays.asList(others))));
            NormRule l1 = ClipRule.globalNorm(1).withNormType(NormType.L1);
            assertThrows(IllegalStateException.class, () -> clipper.apply(l1));
            assertThrows(IllegalArgumentException.class, () -> clipper.apply(ClipRule.adaptive(1)));
            assertThrows(IllegalArgumentException.class, () -> clipper.clipWithNorm(1, -1));
            assertTrue(clipper.apply(ClipRule.globalNorm(1)).clipped());
        }
    }
}
