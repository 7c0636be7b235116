// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Each rule as part of a CUDA graph. */
@Timeout(120)
class CapturedRulesTest {
    private static void assertRefused(Class<? extends Exception> type, String reason, Executable call) {
        String message = String.valueOf(assertThrows(type, call).getMessage());
        assertTrue(message.contains(reason), message);
    }

    private static void assertSame(ClipResult want, ClipResult got, ClipRule rule) {
        assertEquals(want.toString(), got.toString(), rule::toString);
        assertEquals(want.clippedNorm(), got.clippedNorm(), rule::toString);
    }

    private static void assertBits(MixedTensors expected, MixedTensors got, Object what) {
        List<long[]> bits = got.bits();
        for (int i = 0; i < bits.size(); i++) assertArrayEquals(expected.bits().get(i), bits.get(i), what::toString);
    }

    /** A clip of some tensors in a graph. */
    static final class Captured implements AutoCloseable {
        final CudaStream stream;
        final CapturedClip clip;
        final CudaGraph graph;

        Captured(GradientClipper clipper, ClipRule rule) {
            this(clipper, rule, CudaStream.create());
        }

        Captured(GradientClipper clipper, ClipRule rule, CudaStream stream) {
            this.stream = stream;
            List<CapturedClip> captured = new ArrayList<>();
            graph = CudaGraph.capture(
                    stream, () -> captured.add(clipper.prepare(rule).capture(stream)));
            clip = captured.get(0);
        }

        ClipResult launch() {
            graph.launch(stream);
            stream.synchronize();
            return clip.latest();
        }

        @Override
        public void close() {
            graph.close();
            clip.close();
            stream.close();
        }
    }

    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("dev.gradclip.TestBackend#onDevices")
    void doesWhatItDoesUncaptured(TestBackend backend) {
        for (ClipRule rule : EveryRule.all()) {
            for (double inverseScale : new double[] {1, 0.5}) {
                ClipRule each = rule.withInverseScale(inverseScale);
                try (MixedTensors plain = new MixedTensors(backend);
                        MixedTensors replayed = new MixedTensors(backend)) {
                    // The rule's parts must be on the device before the capture begins.
                    replayed.clipper.clip(each);
                    plain.clipper.clip(each);
                    try (Captured captured = new Captured(replayed.clipper, each)) {
                        for (int i = 0; i < 2; i++) {
                            ClipResult want = plain.clipper.clip(each);
                            assertSame(want, captured.launch(), each);
                            assertBits(plain, replayed, each);
                        }
                    }
                }
            }
        }
    }

    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("dev.gradclip.TestBackend#onDevices")
    void numbersOfEveryFormCanChange(TestBackend backend) {
        for (ClipRule rule : EveryRule.norms()) {
            NormRule first = (NormRule) rule;
            boolean isFixed = first.scope() == Scope.GROUP || first.scope() == Scope.TENSOR;
            if (isFixed) continue;
            for (ClipRule next : List.of(first.times(0.5), first.withInverseScale(0.25), first.times(0))) {
                try (MixedTensors plain = new MixedTensors(backend);
                        MixedTensors replayed = new MixedTensors(backend);
                        Captured captured = new Captured(replayed.clipper, first)) {
                    captured.clip.setRule(next, captured.stream);
                    ClipResult want = plain.clipper.clip(next);
                    assertSame(want, captured.launch(), next);
                    assertBits(plain, replayed, next);
                }
            }
        }
        for (ClipRule next : List.of(ClipRule.value(-3, 0.5), ClipRule.value(1).withInverseScale(0.5))) {
            try (MixedTensors plain = new MixedTensors(backend);
                    MixedTensors replayed = new MixedTensors(backend);
                    Captured captured = new Captured(replayed.clipper, ClipRule.value(2))) {
                captured.clip.setRule(next, captured.stream);
                ClipResult want = plain.clipper.clip(next);
                assertSame(want, captured.launch(), next);
                assertBits(plain, replayed, next);
            }
        }
    }

    /** A clip that was captured to measure without changes clips by the numbers that it receives later. */
    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("dev.gradclip.TestBackend#onDevices")
    void fromMeasuringToClipping(TestBackend backend) {
        NormRule none = ClipRule.normalizeAbove(Double.POSITIVE_INFINITY, 1);
        try (MixedTensors plain = new MixedTensors(backend);
                MixedTensors replayed = new MixedTensors(backend);
                Captured captured = new Captured(replayed.clipper, none)) {
            assertFalse(captured.launch().clipped());
            assertBits(plain, replayed, none);
            captured.clip.setRule(ClipRule.normalize(2), captured.stream);
            plain.clipper.clip(ClipRule.normalize(2));
            assertTrue(captured.launch().clipped());
            assertBits(plain, replayed, "normalize");
        }
    }

    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("dev.gradclip.TestBackend#onDevices")
    void whatCannotChange(TestBackend backend) {
        NormRule rows = ClipRule.perRowNorm(8);
        try (MixedTensors mixed = new MixedTensors(backend);
                Captured captured = new Captured(mixed.clipper, rows)) {
            for (ClipRule other : List.of(
                    rows.withScope(Scope.ALL),
                    rows.withConvention(Convention.KERAS),
                    rows.withNormType(NormType.L1),
                    rows.withNonFinitePolicy(NonFinitePolicy.ZERO),
                    ClipRule.normalize(1).withScope(Scope.ROW),
                    ClipRule.adaptive(1),
                    ClipRule.value(1),
                    EveryRule.groupNorms().get(0))) {
                assertRefused(
                        IllegalArgumentException.class, "numbers", () -> captured.clip.setRule(other, captured.stream));
            }
            assertEquals(rows, captured.clip.rule());
        }
        List<ClipRule> fixed = List.of(
                ClipRule.globalNorm(1).withScope(Scope.GROUP),
                EveryRule.groupNorms().get(0),
                EveryRule.values().get(2));
        for (ClipRule rule : fixed) {
            try (MixedTensors mixed = new MixedTensors(backend)) {
                mixed.clipper.clip(rule);
                try (Captured captured = new Captured(mixed.clipper, rule)) {
                    assertRefused(
                            IllegalArgumentException.class,
                            "numbers",
                            () -> captured.clip.setRule(rule.times(2), captured.stream));
                }
            }
        }
        NormRule tensors = ClipRule.perTensorNorm(60);
        try (MixedTensors mixed = new MixedTensors(backend)) {
            mixed.clipper.clip(tensors);
            try (Captured captured = new Captured(mixed.clipper, tensors)) {
                assertRefused(
                        IllegalArgumentException.class,
                        "rows",
                        () -> captured.clip.setRule(tensors.times(2), captured.stream));
            }
        }
    }

    /** A graph reads its rule's parts where the parts of another rule would be written. */
    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("dev.gradclip.TestBackend#onDevices")
    void groupsOfAGraphStayOnTheDevice(TestBackend backend) {
        ClipRule rule = EveryRule.groupNorms().get(0);
        try (MixedTensors mixed = new MixedTensors(backend);
                CudaStream stream = CudaStream.create()) {
            assertRefused(
                    CudaException.class, "before the capture", () -> new Captured(mixed.clipper, rule, stream).close());
            mixed.clipper.clip(rule);
            try (Captured captured = new Captured(mixed.clipper, rule)) {
                ClipRule other = ClipRule.perGroup(Map.of("first", ClipRule.globalNorm(1)));
                assertRefused(CudaException.class, "close it first", () -> mixed.clipper.clip(other));
                mixed.clipper.clip(rule);
                mixed.clipper.clip(ClipRule.perRowNorm(8));
                captured.launch();
            }
            mixed.clipper.clip(ClipRule.perGroup(Map.of("first", ClipRule.globalNorm(1))));
        }
    }
}
