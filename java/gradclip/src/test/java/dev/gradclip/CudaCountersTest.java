// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.gradclip.internal.jni.EmulatedCuda;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The counted device costs of a clip are the same for one tensor and for ten thousand. */
class CudaCountersTest {
    private static final int LENGTH = 37;

    @BeforeEach
    void needsTheEmulator() {
        assumeTrue(EmulatedCuda.isLoaded(), "the emulated device is not built");
        EmulatedCuda.reset(3);
    }

    /** Tensors of all types side by side in one allocation, at two places. */
    private static final class Tensors implements AutoCloseable {
        private final DeviceBuffer memory;
        private final long[] here;
        private final long[] there;
        private final GradientClipper clipper;

        Tensors(int count) {
            memory = DeviceBuffer.allocate(DType.FLOAT64, 2L * LENGTH * count);
            memory.copyFrom(Values.normal(5, 2 * LENGTH * count, 1));
            here = new long[count];
            there = new long[count];
            GradientClipperBuilder builder = GradientClipper.builder();
            for (int i = 0; i < count; i++) {
                here[i] = memory.address() + 8L * LENGTH * i;
                there[i] = here[i] + 8L * LENGTH * count;
                DType dtype = i % 100 == 99 ? DType.FLOAT32 : DType.FLOAT64;
                builder.add(DeviceBuffer.wrap(here[i], i % 10 == 9 ? 3 : LENGTH, dtype, memory));
            }
            clipper = builder.build();
        }

        @Override
        public void close() {
            clipper.close();
            memory.close();
        }
    }

    private static List<ClipRule> rules() {
        List<ClipRule> rules = new ArrayList<>();
        for (NonFinitePolicy policy : NonFinitePolicy.values()) {
            for (NormType type : NormContractTest.TYPES) {
                rules.add(ClipRule.globalNorm(1).withNormType(type).withNonFinitePolicy(policy));
                rules.add(ClipRule.perTensorNorm(0.5).withNormType(type).withNonFinitePolicy(policy));
            }
            rules.add(ClipRule.value(0.01).withNonFinitePolicy(policy));
        }
        return rules;
    }

    private static void assertCosts(EmulatedCuda.Counters found, int launches, int uploads, int waits, Object what) {
        assertTrue(found.launches() <= launches, () -> found + " for " + what);
        assertEquals(0, found.allocations(), () -> found + " for " + what);
        assertEquals(uploads, found.copiesToDevice(), () -> found + " for " + what);
        assertEquals(0, found.copiesToHost(), () -> found + " for " + what);
        assertTrue(found.synchronisations() <= waits, () -> found + " for " + what);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 10_000})
    void anAsyncClipNeverWaitsAndASyncOneOnce(int count) {
        try (Tensors tensors = new Tensors(count)) {
            tensors.clipper.clipByGlobalNorm(Double.POSITIVE_INFINITY);
            for (ClipRule rule : rules()) {
                EmulatedCuda.counters();
                ClipResult result = tensors.clipper.clipAsync(rule, CudaStream.DEFAULT);
                assertCosts(EmulatedCuda.counters(), 3, 0, 0, rule);
                assertEquals(count, result.tensors());
                assertCosts(EmulatedCuda.counters(), 0, 0, 0, rule);
                result.clipped();
                assertCosts(EmulatedCuda.counters(), 0, 0, 1, rule);
                result.globalNorm();
                assertCosts(EmulatedCuda.counters(), 0, 0, 0, rule);
                tensors.clipper.clip(rule);
                assertCosts(EmulatedCuda.counters(), 3, 0, 1, rule);
            }
            tensors.clipper.clip(ClipRule.globalNorm(1).withNormType(NormType.p(3)));
            assertCosts(EmulatedCuda.counters(), 5, 0, 1, "p-norm");
            tensors.clipper.globalNorm();
            assertCosts(EmulatedCuda.counters(), 2, 0, 1, "norm");
            tensors.clipper.clipWithNorm(1, 2);
            assertCosts(EmulatedCuda.counters(), 2, 0, 1, "a norm that is given");
            tensors.clipper.decideAsync(ClipRule.globalNorm(1), CudaStream.DEFAULT);
            assertCosts(EmulatedCuda.counters(), 2, 0, 0, "a decision");
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 10_000})
    void aCapturedClipCostsWhatAClipCosts(int count) {
        try (Tensors tensors = new Tensors(count);
                CudaStream stream = CudaStream.create()) {
            List<CapturedClip> clips = new ArrayList<>();
            EmulatedCuda.counters();
            try (CudaGraph graph = CudaGraph.capture(
                    stream,
                    () -> clips.add(
                            tensors.clipper.prepare(ClipRule.globalNorm(1)).capture(stream)))) {
                assertCosts(EmulatedCuda.counters(), 0, 0, 0, "capture");
                graph.launch(stream);
                stream.synchronize();
                assertCosts(EmulatedCuda.counters(), 3, 0, 1, "a launch");
                assertTrue(clips.get(0).latest().clipped());
                assertCosts(EmulatedCuda.counters(), 0, 0, 0, "its result");
                clips.get(0).setRule(ClipRule.globalNorm(2), stream);
                assertCosts(EmulatedCuda.counters(), 1, 0, 0, "another threshold");
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 10_000})
    void aRebindIsOneUploadWithTheNextClip(int count) {
        try (Tensors tensors = new Tensors(count)) {
            GradientClipper clipper = tensors.clipper;
            clipper.globalNorm();
            for (int round = 0; round < 40; round++) {
                EmulatedCuda.counters();
                clipper.rebind(round % 2 == 0 ? tensors.there : tensors.here);
                assertCosts(EmulatedCuda.counters(), 0, 0, 0, "rebind");
                clipper.clipByGlobalNormAsync(1, CudaStream.DEFAULT);
                assertCosts(EmulatedCuda.counters(), 3, 1, 0, "the clip after it");
                clipper.rebind(round % 2 == 0 ? tensors.there : tensors.here);
                clipper.clipByGlobalNormAsync(1, CudaStream.DEFAULT);
                assertCosts(EmulatedCuda.counters(), 3, 0, 0, "addresses that have not changed");
                // A rebind has to wait once it is some uploads ahead of the device.
                CudaStream.DEFAULT.synchronize();
            }
        }
    }
}
