// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.gradclip.internal.jni.TestSupport;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Another library has switched flush-to-zero on in the calling thread: bits and switch stay as they are. */
class FlushToZeroTest {
    static Stream<TestBackend> backends() {
        return TestBackend.all();
    }

    @BeforeEach
    void needsTheSwitch() {
        assumeTrue(TestSupport.isLoaded(), "the native test support is not built");
    }

    /** Returns all that a clip of gradients in the subnormal range returns or writes. */
    private static List<String> observed(TestBackend backend, int threads, boolean flushed) {
        List<String> seen = new ArrayList<>();
        for (DType dtype : DType.values()) {
            for (double scale : new double[] {1, 1e-20, dtype == DType.FLOAT64 ? 1e-300 : 1e-38, 1e-42}) {
                List<HostBuffer> buffers = new ArrayList<>();
                GradientClipperBuilder builder = backend.builder().threads(threads);
                for (int i = 0; i < 4; i++) {
                    buffers.add(Values.buffer(dtype, Values.normal(i, 300 + 60_000 * (threads - 1) * i, scale)));
                    builder.add(backend.place(buffers.get(i)));
                }
                List<Object> results = new ArrayList<>();
                try (GradientClipper clipper = builder.build()) {
                    try {
                        TestSupport.flushToZero(flushed);
                        for (NormType type : NormContractTest.TYPES) results.add(clipper.globalNorm(type));
                        results.add(clipper.clipWithNorm(0.001, 1).coefficient());
                        for (HostBuffer buffer : buffers) results.add(Arrays.hashCode(Values.bits(buffer)));
                        results.add(clipper.clipWithNorm(1e-31, 1).coefficient());
                        for (HostBuffer buffer : buffers) results.add(Arrays.hashCode(Values.bits(buffer)));
                        results.add(clipper.clipByValue(-1e-310, 1e-44).elementsChanged());
                        clipper.clip(
                                ClipRule.globalNorm(Double.POSITIVE_INFINITY).withInverseScale(0x1p130));
                        assertEquals(flushed, TestSupport.flushesToZero(), "the mode of the calling thread");
                    } finally {
                        TestSupport.flushToZero(false);
                    }
                }
                seen.add(dtype + " " + scale + " " + results);
                for (HostBuffer buffer : buffers) seen.add(Arrays.hashCode(Values.bits(buffer)) + "");
            }
        }
        return seen;
    }

    @ParameterizedTest
    @MethodSource("backends")
    void theCallersThreadGetsTheSameBits(TestBackend backend) {
        assertEquals(observed(backend, 1, false), observed(backend, 1, true));
    }

    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#onHost")
    void helpingThreadsGetTheSameBits(TestBackend backend) {
        assertEquals(observed(backend, 3, false), observed(backend, 3, true));
    }

    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#onHost")
    void anExecutorsThreadsGetTheSameBits(TestBackend backend) {
        HostBuffer kept = Values.buffer(DType.FLOAT32, Values.normal(1, 500_000, 1e-39));
        HostBuffer flushed = Values.buffer(DType.FLOAT32, Values.normal(1, 500_000, 1e-39));
        double expected;
        try (GradientClipper clipper = backend.clipper(kept)) {
            expected = clipper.globalNorm();
            clipper.clipWithNorm(0.3, 1);
        }
        List<Thread> threads = new ArrayList<>();
        GradientClipperBuilder builder = backend.builder()
                .executor(
                        task -> {
                            Thread thread = new Thread(() -> {
                                TestSupport.flushToZero(true);
                                task.run();
                            });
                            threads.add(thread);
                            thread.start();
                        },
                        3);
        try (GradientClipper clipper = builder.add(backend.place(flushed)).build()) {
            assertEquals(expected, clipper.globalNorm());
            clipper.clipWithNorm(0.3, 1);
        }
        assertTrue(threads.size() >= 2);
        assertArrayEquals(Values.bits(kept), Values.bits(flushed));
    }
}
