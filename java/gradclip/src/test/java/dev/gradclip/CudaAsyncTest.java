// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Clips that are only enqueued: their results, and when these arrive. */
@Timeout(60)
class CudaAsyncTest {
    private static final int KEPT = 256;

    static Stream<TestBackend> devices() {
        return TestBackend.onDevices();
    }

    private static HostBuffer threeFour() {
        return Values.buffer(DType.FLOAT32, 3, 4);
    }

    private static List<ClipRule> rules() {
        List<ClipRule> rules = new ArrayList<>();
        for (NonFinitePolicy policy : NonFinitePolicy.values()) {
            for (NormType type : NormContractTest.TYPES) {
                rules.add(ClipRule.globalNorm(1).withNormType(type).withNonFinitePolicy(policy));
                rules.add(ClipRule.perTensorNorm(1).withNormType(type).withNonFinitePolicy(policy));
            }
            rules.add(ClipRule.value(-0.5, 0.7).withNonFinitePolicy(policy));
        }
        rules.add(ClipRule.globalNorm(1).withNormType(NormType.p(3)));
        rules.add(ClipRule.globalNorm(1e9));
        rules.add(ClipRule.globalNorm(0));
        rules.add(ClipRule.globalNorm(Double.POSITIVE_INFINITY));
        return rules;
    }

    @Tag("emulated")
    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("devices")
    void gettersWait(TestBackend backend) {
        try (CudaStream stream = CudaStream.create();
                GradientClipper clipper = backend.clipper(threeFour())) {
            ClipResult result = clipper.clipByGlobalNormAsync(1, stream);
            // The emulated device does nothing until somebody waits.
            assertFalse(result.isComplete());
            assertEquals("ClipResult[not read yet, tensors=1, elements=2]", result.toString());
            assertEquals(1, result.tensors());
            assertEquals(2, result.elements());
            assertFalse(result.isComplete());
            assertEquals(5, result.globalNorm());
            assertTrue(result.isComplete());
            assertTrue(result.clipped());
            assertEquals(1 / (5 + 1e-6), result.coefficient());
            assertTrue(result.toString().contains("globalNorm=5.0"), result::toString);
        }
    }

    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("devices")
    void everyRuleSaysAndDoesWhatItDoesWhenWaitedFor(TestBackend backend) {
        for (ClipRule rule : rules()) {
            for (double odd : new double[] {1, Double.NaN, Double.NEGATIVE_INFINITY}) {
                if (rule.nonFinitePolicy() == NonFinitePolicy.ERROR && odd != 1) continue;
                double[] values = Values.normal(3, 5000, 1);
                values[4321] = odd;
                HostBuffer[] some = {threeFour(), Values.buffer(DType.BFLOAT16, values)};
                HostBuffer[] same = {threeFour(), Values.buffer(DType.BFLOAT16, values)};
                try (CudaStream stream = CudaStream.create();
                        GradientClipper waits = backend.clipper(some);
                        GradientClipper enqueues = backend.clipper(same)) {
                    ClipResult want = waits.clip(rule);
                    ClipResult got = enqueues.prepare(rule).runAsync(stream);
                    got.clipped();
                    assertEquals(want.toString(), got.toString(), rule::toString);
                    if (!(rule instanceof ValueRule)) {
                        assertEquals(want.tensorNorm(1), got.tensorNorm(1));
                        assertEquals(want.tensorCoefficient(0), got.tensorCoefficient(0));
                    }
                }
                for (int i = 0; i < 2; i++) assertArrayEquals(Values.bits(some[i]), Values.bits(same[i]));
            }
        }
    }

    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("devices")
    void theVerbsAreThoseOfTheirRules(TestBackend backend) {
        try (CudaStream stream = CudaStream.create();
                GradientClipper clipper = backend.clipper(threeFour(), Values.buffer(DType.FLOAT64, 12))) {
            assertEquals(13, clipper.clipByGlobalNormAsync(100, stream).globalNorm());
            assertEquals(12, clipper.clipPerTensorNormAsync(100, stream).tensorNorm(1));
            assertEquals(1, clipper.clipByValueAsync(10, stream).elementsChanged());
            assertEquals(3, clipper.clipByValueAsync(1, 2, stream).elementsChanged());
            assertThrows(NullPointerException.class, () -> clipper.clipPerTensorNormAsync(1, nothing()));
            assertThrows(IllegalArgumentException.class, () -> clipper.clipByGlobalNormAsync(-1, stream));
        }
    }

    @SuppressWarnings("NullAway")
    private static CudaStream nothing() {
        return null;
    }

    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("devices")
    void aResultThatIsReadTooLateThrows(TestBackend backend) {
        try (GradientClipper clipper = backend.clipper(threeFour())) {
            List<ClipResult> results = new ArrayList<>();
            for (int i = 0; i < KEPT; i++) results.add(clipper.clipByGlobalNormAsync(i, CudaStream.DEFAULT));
            ClipResult last = results.get(KEPT - 1);
            assertEquals(0, last.globalNorm());
            ClipResult first = results.get(0);
            assertEquals(5, first.globalNorm(), "all of the last 256 are kept");
            ClipResult second = results.get(1);
            for (int i = 0; i < 2; i++) assertEquals(0, clipper.globalNorm());
            String message = String.valueOf(assertThrows(IllegalStateException.class, second::globalNorm)
                    .getMessage());
            assertTrue(message.contains("256"), message);
            assertEquals(2, second.elements());
            assertEquals(5, first.globalNorm(), "what was read once stays");
            assertEquals(0, results.get(2).globalNorm());
        }
    }

    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("devices")
    void anErrorComesFromTheGetterAndNothingIsTouched(TestBackend backend) {
        HostBuffer good = threeFour();
        HostBuffer bad = Values.buffer(DType.FLOAT16, 1, Double.NaN, 2);
        long[] before = Values.bits(bad);
        ClipRule[] rules = {ClipRule.globalNorm(1), ClipRule.perTensorNorm(1), ClipRule.value(1)};
        try (GradientClipper clipper = backend.builder()
                .add("good", backend.place(good))
                .add("bad", backend.place(bad))
                .build()) {
            for (ClipRule rule : rules) {
                ClipResult result =
                        clipper.clipAsync(rule.withNonFinitePolicy(NonFinitePolicy.ERROR), CudaStream.DEFAULT);
                assertEquals(5, result.elements());
                for (int i = 0; i < 2; i++) {
                    NonFiniteGradientException e = assertThrows(NonFiniteGradientException.class, result::clipped);
                    assertEquals("bad", e.tensor());
                }
            }
            assertArrayEquals(new double[] {3, 4}, Values.read(good));
            assertArrayEquals(before, Values.bits(bad));
            assertTrue(clipper.clipByGlobalNorm(1).nonFinite(), "the clipper goes on");
        }
    }

    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("devices")
    void streamsChangeInTheOrderOfTheCalls(TestBackend backend) {
        HostBuffer buffer = Values.buffer(DType.FLOAT32, Values.normal(1, 3000, 1));
        HostBuffer same = Values.buffer(DType.FLOAT32, Values.normal(1, 3000, 1));
        try (CudaStream a = CudaStream.create();
                CudaStream b = CudaStream.create();
                GradientClipper clipper = backend.clipper(buffer);
                GradientClipper waits = backend.clipper(same)) {
            List<ClipResult> results = new ArrayList<>();
            List<ClipResult> expected = new ArrayList<>();
            for (int i = 20; i > 0; i--) {
                results.add(clipper.clipByGlobalNormAsync(i, i % 2 == 0 ? a : b));
                expected.add(waits.clipByGlobalNorm(i));
            }
            for (int i = 0; i < 20; i++) {
                assertEquals(expected.get(i).globalNorm(), results.get(i).globalNorm());
            }
            // A result arrives before the elements are scaled.
            b.synchronize();
            assertArrayEquals(Values.bits(same), Values.bits(buffer));
        }
    }

    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("devices")
    void aStreamThatIsClosedEarlyStaysWhileItIsNeeded(TestBackend backend) {
        HostBuffer buffer = threeFour();
        try (GradientClipper clipper = backend.clipper(buffer)) {
            CudaStream first = CudaStream.create();
            ClipResult result = clipper.clipByGlobalNormAsync(2.5, first);
            first.close();
            assertThrows(IllegalStateException.class, () -> clipper.clipByGlobalNormAsync(1, first));
            assertEquals(1, clipper.clipByGlobalNorm(5).coefficient());
            assertEquals(5, result.globalNorm());
            try (CudaStream second = CudaStream.create()) {
                clipper.clipByGlobalNormAsync(1, second);
            }
        }
        assertArrayEquals(new double[] {0.6, 0.8}, Values.read(buffer), 1e-6);
    }

    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("devices")
    void anotherThreadMayReadAndCloseKeepsResults(TestBackend backend) throws Exception {
        GradientClipper clipper = backend.clipper(threeFour());
        ClipResult first = clipper.clipByGlobalNormAsync(2.5, CudaStream.DEFAULT);
        assertEquals(5, CompletableFuture.supplyAsync(first::globalNorm).get());
        ClipResult second = clipper.clipByGlobalNormAsync(1, CudaStream.DEFAULT);
        clipper.close();
        assertTrue(second.isComplete());
        assertEquals(2.5, second.globalNorm(), 1e-6);
        String message = String.valueOf(assertThrows(IllegalStateException.class, () -> second.tensorNorm(0))
                .getMessage());
        assertTrue(message.contains("closed"), message);
    }

    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("devices")
    void perTensorFiguresOfAnAsyncClipGoStale(TestBackend backend) {
        try (GradientClipper clipper = backend.clipper(threeFour(), Values.buffer(DType.FLOAT64, 12))) {
            ClipResult first = clipper.clipPerTensorNormAsync(6, CudaStream.DEFAULT);
            assertEquals(5, first.tensorNorm(0));
            assertEquals(12, first.tensorNorm(1));
            assertEquals(6 / (12 + 1e-6), first.tensorCoefficient(1));
            clipper.globalNorm();
            assertThrows(IllegalStateException.class, () -> first.tensorNorm(0));
            assertEquals(13, first.globalNorm());
        }
    }

    /** The coefficient that an optimizer's kernel multiplies by is in device memory. */
    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("devices")
    void theCoefficientIsOnTheDevice(TestBackend backend) {
        try (GradientClipper clipper = backend.clipper(threeFour())) {
            long address = clipper.coefficientAddress();
            double[] found = new double[1];
            DeviceBuffer coefficient = DeviceBuffer.wrap(address, 1, DType.FLOAT64, clipper);
            for (double max : new double[] {2, 100, 0.5}) {
                ClipResult result = clipper.clipByGlobalNorm(max);
                coefficient.copyTo(found);
                assertEquals(result.coefficient(), found[0]);
            }
            assertEquals(address, clipper.coefficientAddress());
        }
    }

    /** The flag that a loss scaler's kernels read is right after every norm rule, policy and decision. */
    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("devices")
    void whetherAGradientWasNotFiniteIsOnTheDevice(TestBackend backend) {
        HostBuffer finite = threeFour();
        HostBuffer bad = Values.buffer(DType.FLOAT32, 3, Double.NaN);
        try (GradientClipper good = backend.clipper(finite);
                GradientClipper poor = backend.clipper(bad)) {
            for (NonFinitePolicy policy : new NonFinitePolicy[] {NonFinitePolicy.SKIP, NonFinitePolicy.ZERO}) {
                for (NormRule rule : new NormRule[] {ClipRule.globalNorm(1), ClipRule.perTensorNorm(1)}) {
                    good.clip(rule.withInverseScale(0.5).withNonFinitePolicy(policy));
                    assertEquals(0, found(good), rule.name());
                }
            }
            good.decide(ClipRule.globalNorm(1));
            assertEquals(0, found(good));
            poor.decide(ClipRule.globalNorm(1));
            assertEquals(1, found(poor));
            poor.clip(ClipRule.perTensorNorm(1).withNonFinitePolicy(NonFinitePolicy.SKIP));
            assertEquals(1, found(poor));
            poor.clip(ClipRule.globalNorm(1).withNonFinitePolicy(NonFinitePolicy.ZERO));
            assertEquals(1, found(poor), "it was found, though it is 0 now");
            poor.clip(ClipRule.globalNorm(1).withNonFinitePolicy(NonFinitePolicy.ZERO));
            assertEquals(0, found(poor), "the next clip finds none");
        }
    }

    private static float found(GradientClipper clipper) {
        float[] found = new float[1];
        DeviceBuffer.wrap(clipper.nonFiniteAddress(), 1, DType.FLOAT32, clipper).copyTo(found);
        return found[0];
    }

    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#onHost")
    void onTheHostAnAsyncClipIsCompleteOnReturn(TestBackend backend) {
        HostBuffer buffer = threeFour();
        try (GradientClipper clipper = backend.clipper(buffer)) {
            ClipResult result = clipper.clipByGlobalNormAsync(2.5, CudaStream.DEFAULT);
            assertTrue(result.isComplete());
            assertEquals(1.5, Values.read(buffer)[0], 1e-6);
            assertEquals(5, result.globalNorm());
            assertTrue(String.valueOf(assertThrows(IllegalStateException.class, clipper::coefficientAddress)
                            .getMessage())
                    .contains("ClipResult"));
            assertThrows(IllegalStateException.class, clipper::nonFiniteAddress);
        }
    }

    @Test
    void thePerThreadDefaultStreamIsRefused() {
        String message = String.valueOf(assertThrows(IllegalArgumentException.class, () -> CudaStream.of(2))
                .getMessage());
        assertTrue(message.contains("per-thread"), message);
    }

    /** A thread that waits for a result delays nobody, not even those who enqueue work for the same clipper. */
    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("devices")
    void whoWaitsForAResultHoldsNobodyUp(TestBackend backend) throws Exception {
        try (CudaStream stream = CudaStream.create();
                GradientClipper clipper = backend.clipper(threeFour())) {
            List<CompletableFuture<Double>> waiting = new ArrayList<>();
            for (int i = 0; i < 50; i++) {
                ClipResult result = clipper.clipByGlobalNormAsync(100, stream);
                for (int k = 0; k < 2; k++) waiting.add(CompletableFuture.supplyAsync(result::globalNorm));
            }
            for (CompletableFuture<Double> norm : waiting) assertEquals(5, norm.get());
        }
    }

    @Test
    void theStreamOfAnotherLibraryNeedsNoDevice() {
        assertEquals(12345, CudaStream.of(12345).handle());
        CudaStream.of(12345).close();
    }

    /** A clip works on what was bound when it was enqueued, however often the host has rebound the clipper since. */
    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("devices")
    void reboundMoreOftenThanTheDeviceGetsThrough(TestBackend backend) {
        List<HostBuffer> gradients = new ArrayList<>();
        List<ClipResult> results = new ArrayList<>();
        try (CudaStream stream = CudaStream.create();
                GradientClipper clipper =
                        backend.builder().declare("a", DType.FLOAT32, 2).build()) {
            for (int i = 1; i <= 20; i++) {
                HostBuffer gradient = Values.buffer(DType.FLOAT32, 3 * i, 4 * i);
                gradients.add(gradient);
                clipper.rebind(List.of(backend.place(gradient)));
                results.add(clipper.clipAsync(ClipRule.globalNorm(5).withEpsilon(0), stream));
            }
            stream.synchronize();
            for (int i = 1; i <= 20; i++) {
                assertEquals(5 * i, results.get(i - 1).globalNorm());
                assertArrayEquals(new double[] {3, 4}, Values.read(gradients.get(i - 1)), 1e-6);
            }
        }
    }
}
