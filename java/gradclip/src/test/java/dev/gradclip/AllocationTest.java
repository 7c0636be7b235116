// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.gradclip.internal.jni.TestSupport;
import java.lang.reflect.Method;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A clip allocates only its result; the build runs this without escape analysis, which hides allocations. */
class AllocationTest {
    private static final int CALLS = 2_000;

    static Stream<TestBackend> backends() {
        return TestBackend.all();
    }

    private static GradientClipper clipper(TestBackend backend, int threads, int tensors, int length) {
        GradientClipperBuilder builder = backend.builder().threads(threads);
        for (int i = 0; i < tensors; i++) {
            builder.add(backend.place(Values.buffer(DType.values()[i % 4], Values.normal(i, length, 1))));
        }
        return builder.build();
    }

    /** Counts allocated bytes through reflection, because the module does not read java.management. */
    private static final class Meter {
        private final Method method;
        private final Object bean;
        private final Object thread;

        @SuppressWarnings("deprecation")
        Meter() throws ReflectiveOperationException {
            bean = Class.forName("java.lang.management.ManagementFactory")
                    .getMethod("getThreadMXBean")
                    .invoke(null);
            method = Class.forName("com.sun.management.ThreadMXBean").getMethod("getThreadAllocatedBytes", long.class);
            thread = Thread.currentThread().getId();
        }

        long allocated() {
            try {
                return (Long) method.invoke(bean, thread);
            } catch (ReflectiveOperationException e) {
                throw new LinkageError(String.valueOf(e.getMessage()), e);
            }
        }
    }

    /** Returns the bytes a compiled call allocates: the least of some rounds, less those of reading the meter. */
    private static double bytes(Supplier<ClipResult> call, int calls) {
        Meter meter;
        try {
            meter = new Meter();
        } catch (ReflectiveOperationException e) {
            throw new LinkageError(String.valueOf(e.getMessage()), e);
        }
        double least = Double.MAX_VALUE;
        ClipResult last = call.get();
        for (int round = 0; round < 15 && least > 64; round++) {
            long start = meter.allocated();
            long before = meter.allocated();
            for (int i = 0; i < calls; i++) last = call.get();
            long after = meter.allocated();
            least = Math.min(least, (after - before - (before - start)) / (double) calls);
        }
        assertTrue(last.tensors() > 0);
        return least;
    }

    private static void assertResultOnly(GradientClipper clipper, ClipRule rule, int most) {
        int calls = clipper.backend() == Backend.CUDA ? most / 20 : most;
        double bytes = bytes(clipper.prepare(rule)::run, calls);
        assertTrue(bytes <= 64, () -> bytes + " bytes a call of " + rule);
    }

    @ParameterizedTest
    @MethodSource("backends")
    void oneTensor(TestBackend backend) {
        try (GradientClipper clipper = clipper(backend, 1, 1, 500)) {
            assertResultOnly(clipper, ClipRule.globalNorm(1), CALLS);
            assertResultOnly(clipper, ClipRule.perTensorNorm(0.5), CALLS);
            assertResultOnly(clipper, ClipRule.value(0.1), CALLS);
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void manyTensors(TestBackend backend) {
        try (GradientClipper clipper = clipper(backend, 1, 500, 40)) {
            assertResultOnly(clipper, ClipRule.globalNorm(1), CALLS);
            assertResultOnly(clipper, ClipRule.perTensorNorm(0.5), CALLS);
            assertResultOnly(clipper, ClipRule.perSampleNorm(0.5), CALLS);
            assertResultOnly(clipper, ClipRule.value(0.1), CALLS);
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void everyRule(TestBackend backend) {
        try (MixedTensors mixed = new MixedTensors(backend)) {
            for (ClipRule rule : EveryRule.all()) {
                assertResultOnly(mixed.clipper, rule.withInverseScale(0.999), 100);
                assertResultOnly(mixed.clipper, rule.withNonFinitePolicy(NonFinitePolicy.ZERO), 100);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void severalThreads(TestBackend backend) {
        try (GradientClipper clipper = clipper(backend, 3, 4, 60_000)) {
            assertResultOnly(clipper, ClipRule.globalNorm(1), 500);
            assertResultOnly(clipper, ClipRule.value(0.1), 500);
        }
    }

    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#onHost")
    void openMpThreads(TestBackend backend) {
        assumeTrue(Backend.NATIVE.isAvailable() && TestSupport.isLoaded(), "the native library is not built");
        assumeTrue(TestSupport.openMpRegion(3) == 3, "the compiler had no OpenMP");
        GradientClipperBuilder builder = backend.builder().openMpThreads(TestSupport.OPEN_MP, 3);
        for (int i = 0; i < 4; i++) builder.add(Values.buffer(DType.values()[i], Values.normal(i, 150_000, 1)));
        try (GradientClipper clipper = builder.build()) {
            assertResultOnly(clipper, ClipRule.globalNorm(1), 200);
            assertResultOnly(clipper, ClipRule.value(0.1), 200);
        }
    }

    /** A framework frees gradients and allocates them elsewhere in each step. */
    @Test
    void rebindingAddresses() {
        assumeTrue(Backend.NATIVE.isAvailable() && TestSupport.isLoaded(), "addresses need the native library");
        int tensors = 100;
        long memory = TestSupport.reserve(2 << 20);
        GradientClipperBuilder builder = GradientClipper.builder();
        for (int i = 0; i < tensors; i++) builder.declare("tensor " + i, DType.FLOAT32, 1000);
        long[] even = new long[tensors];
        long[] odd = new long[tensors];
        for (int i = 0; i < tensors; i++) {
            even[i] = memory + 8192L * i;
            odd[i] = i % 7 == 0 ? 0 : memory + 8192L * i + 4096;
        }
        boolean[] isOdd = {false};
        try (GradientClipper clipper = builder.build()) {
            PreparedClip clip = clipper.prepare(ClipRule.globalNorm(1));
            double bytes = bytes(
                    () -> {
                        isOdd[0] = !isOdd[0];
                        clipper.rebind(isOdd[0] ? odd : even);
                        return clip.run();
                    },
                    CALLS);
            assertTrue(bytes <= 64, () -> bytes + " bytes a rebind and clip");
        } finally {
            TestSupport.release(memory, 2 << 20);
        }
    }

    /** A step allocates its result and nothing else, once its state is there. */
    @ParameterizedTest
    @MethodSource("hosts")
    void steps(TestBackend backend) {
        for (int threads : new int[] {1, 2}) {
            GradientClipperBuilder builder = backend.builder().threads(threads);
            for (int i = 0; i < 8; i++) {
                DType dtype = DType.values()[i % 4];
                builder.add(backend.place(Values.buffer(dtype, Values.normal(i, 5000, 1))))
                        .weights(backend.place(Values.buffer(dtype, Values.normal(i, 5000, 1))));
            }
            try (GradientClipper clipper = builder.build()) {
                Update update = Update.adamW(1e-3);
                ClipRule rule = ClipRule.globalNorm(1);
                double bytes = bytes(() -> clipper.step(update, rule), 300);
                assertTrue(bytes <= 64, () -> bytes + " bytes a step in " + threads + " threads");
            }
        }
    }

    static Stream<TestBackend> hosts() {
        return TestBackend.onHost();
    }
}
