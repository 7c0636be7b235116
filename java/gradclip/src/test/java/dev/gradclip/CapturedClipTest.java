// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Clips that are part of a graph: results of each launch, changes allowed between launches, and changes refused. */
@Timeout(60)
class CapturedClipTest {
    private static final double[] BEFORE = {3, 4};

    static Stream<TestBackend> devices() {
        return TestBackend.onDevices();
    }

    private static void assertRefused(Class<? extends Exception> type, String reason, Executable call) {
        String message = String.valueOf(assertThrows(type, call).getMessage());
        assertTrue(message.contains(reason), message);
    }

    /** One tensor on the device, a stream, and a clip of it in a graph. */
    private static final class Captured implements AutoCloseable {
        final CudaStream stream = CudaStream.create();
        final DeviceBuffer gradient = DeviceBuffer.allocate(DType.FLOAT64, 2);
        final GradientClipper clipper;
        final CapturedClip clip;
        final CudaGraph graph;

        Captured(TestBackend backend, ClipRule rule) {
            gradient.copyFrom(BEFORE);
            clipper = backend.builder().add("weight", gradient).build();
            List<CapturedClip> captured = new ArrayList<>();
            graph = CudaGraph.capture(
                    stream, () -> captured.add(clipper.prepare(rule).capture(stream)));
            clip = captured.get(0);
        }

        double[] launch() {
            gradient.copyFrom(BEFORE);
            graph.launch(stream);
            stream.synchronize();
            double[] after = new double[2];
            gradient.copyTo(after);
            return after;
        }

        @Override
        public void close() {
            graph.close();
            clip.close();
            clipper.close();
            gradient.close();
            stream.close();
        }
    }

    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("devices")
    void eachLaunchClipsByTheNumbersItWasGivenLast(TestBackend backend) {
        try (Captured captured = new Captured(backend, ClipRule.globalNorm(2.5).withEpsilon(0))) {
            CapturedClip clip = captured.clip;
            assertEquals(0, clip.replays());
            assertRefused(IllegalStateException.class, "launch", clip::latest);
            assertArrayEquals(new double[] {1.5, 2}, captured.launch());
            assertEquals(1, clip.replays());
            assertEquals(
                    "ClipResult[globalNorm=5.0, coefficient=0.5, clipped=true, nonFinite=false, tensors=1, "
                            + "elements=2]",
                    clip.latest().toString());
            NormRule next = ClipRule.globalNorm(1.25).withEpsilon(0);
            clip.setRule(next, captured.stream);
            assertEquals(next, clip.rule());
            assertArrayEquals(new double[] {0.75, 1}, captured.launch());
            clip.setRule(ClipRule.globalNorm(Double.POSITIVE_INFINITY), captured.stream);
            assertArrayEquals(BEFORE, captured.launch());
            assertFalse(clip.latest().clipped());
            assertEquals(3, clip.replays());
            assertRefused(
                    IllegalStateException.class,
                    "per-tensor",
                    () -> clip.latest().tensorNorm(0));
        }
    }

    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("devices")
    void everyKindOfRuleDoesWhatItDoesUncaptured(TestBackend backend) {
        List<ClipRule> rules = new ArrayList<>();
        for (NonFinitePolicy policy : NonFinitePolicy.values()) {
            for (NormType type : new NormType[] {NormType.L1, NormType.L2, NormType.INF, NormType.p(3)}) {
                rules.add(ClipRule.globalNorm(1).withNormType(type).withNonFinitePolicy(policy));
                rules.add(ClipRule.perTensorNorm(1).withNormType(type).withNonFinitePolicy(policy));
            }
            rules.add(ClipRule.value(-0.5, 3.5).withNonFinitePolicy(policy));
        }
        for (ClipRule rule : rules) {
            HostBuffer expected = Values.buffer(DType.FLOAT64, BEFORE);
            try (Captured captured = new Captured(backend, rule);
                    GradientClipper clipper = backend.clipper(expected)) {
                ClipResult want = clipper.clip(rule);
                for (int i = 0; i < 3; i++) {
                    assertArrayEquals(Values.read(expected), captured.launch(), rule::toString);
                    assertEquals(want.toString(), captured.clip.latest().toString(), rule::toString);
                }
            }
        }
    }

    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("devices")
    void anErrorIsThrownByTheResultAndTheNextLaunchIsGood(TestBackend backend) {
        ClipRule rule = ClipRule.globalNorm(2.5).withEpsilon(0).withNonFinitePolicy(NonFinitePolicy.ERROR);
        try (Captured captured = new Captured(backend, rule)) {
            captured.gradient.copyFrom(new double[] {Double.NaN, 4});
            captured.graph.launch(captured.stream);
            captured.stream.synchronize();
            NonFiniteGradientException e = assertThrows(NonFiniteGradientException.class, captured.clip::latest);
            assertEquals("weight", e.tensor());
            assertArrayEquals(new double[] {1.5, 2}, captured.launch());
            assertEquals(5, captured.clip.latest().globalNorm());
        }
    }

    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("devices")
    void onlyNumbersCanChange(TestBackend backend) {
        try (Captured captured = new Captured(backend, ClipRule.globalNorm(1))) {
            ClipRule[] others = {
                ClipRule.perTensorNorm(1),
                ClipRule.value(1),
                ClipRule.globalNorm(1).withNormType(NormType.L1),
                ClipRule.globalNorm(1).withNonFinitePolicy(NonFinitePolicy.SKIP)
            };
            for (ClipRule other : others) {
                assertRefused(
                        IllegalArgumentException.class, "numbers", () -> captured.clip.setRule(other, captured.stream));
            }
            captured.clip.setRule(ClipRule.globalNorm(2).withEpsilon(0.5), captured.stream);
        }
    }

    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("devices")
    void gradientsStayWhereTheyAreWhileAGraphHasThem(TestBackend backend) {
        try (Captured captured = new Captured(backend, ClipRule.globalNorm(1));
                DeviceBuffer other = DeviceBuffer.allocate(DType.FLOAT64, 2)) {
            captured.clipper.rebind(List.of(captured.gradient));
            assertRefused(IllegalStateException.class, "weight", () -> captured.clipper.rebind(List.of(other)));
            assertRefused(
                    IllegalStateException.class, "weight", () -> captured.clipper.rebind(new long[] {other.address()}));
            captured.clip.close();
            captured.clip.close();
            captured.clipper.rebind(List.of(other));
            assertEquals(0, captured.clipper.globalNorm());
            assertRefused(IllegalStateException.class, "closed", captured.clip::latest);
            assertRefused(
                    IllegalStateException.class,
                    "closed",
                    () -> captured.clip.setRule(ClipRule.globalNorm(1), captured.stream));
        }
    }

    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("devices")
    void whatCantBeCapturedIsRefused(TestBackend backend) {
        try (Captured captured = new Captured(backend, ClipRule.globalNorm(1));
                DeviceBuffer other = DeviceBuffer.allocate(DType.FLOAT64, 2)) {
            PreparedClip prepared = captured.clipper.prepare(ClipRule.globalNorm(1));
            assertRefused(CudaException.class, "captures nothing", () -> prepared.capture(captured.stream));
            CudaGraph.capture(
                            captured.stream,
                            () -> assertRefused(
                                    CudaException.class, "CapturedClip", () -> prepared.runAsync(captured.stream)))
                    .close();
            assertThrows(
                    IllegalStateException.class,
                    () -> CudaGraph.capture(captured.stream, () -> {
                        throw new IllegalStateException("of the caller");
                    }));
            assertThrows(CudaException.class, () -> CudaGraph.capture(CudaStream.DEFAULT, () -> {}));
            captured.clip.close();
            captured.clipper.rebind(List.of(other));
            assertRefused(
                    CudaException.class,
                    "rebind",
                    () -> CudaGraph.capture(captured.stream, () -> prepared.capture(captured.stream)));
            assertEquals(0, captured.clipper.globalNorm());
            List<CapturedClip> again = new ArrayList<>();
            CudaGraph.capture(captured.stream, () -> again.add(prepared.capture(captured.stream)))
                    .close();
            again.get(0).close();
        }
    }

    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("devices")
    void afterTheClipperIsClosedNothingIsRead(TestBackend backend) {
        try (Captured captured = new Captured(backend, ClipRule.globalNorm(1))) {
            captured.launch();
            captured.clipper.close();
            assertRefused(IllegalStateException.class, "closed", captured.clip::latest);
            assertRefused(IllegalStateException.class, "closed", captured.clip::replays);
            assertRefused(
                    IllegalStateException.class,
                    "closed",
                    () -> captured.clip.setRule(ClipRule.globalNorm(2), captured.stream));
            captured.graph.close();
            assertRefused(IllegalStateException.class, "closed", () -> captured.graph.launch(captured.stream));
        }
    }

    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#onHost")
    void thereIsNothingToCaptureOnTheHost(TestBackend backend) {
        try (GradientClipper clipper = backend.clipper(Values.buffer(DType.FLOAT64, BEFORE))) {
            PreparedClip prepared = clipper.prepare(ClipRule.globalNorm(1));
            assertRefused(IllegalStateException.class, "host", () -> prepared.capture(CudaStream.DEFAULT));
        }
    }
}
