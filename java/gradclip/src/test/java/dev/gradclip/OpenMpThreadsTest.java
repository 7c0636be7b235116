// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.gradclip.internal.jni.TestSupport;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A clip on the OpenMP threads of another library. */
@Timeout(120)
class OpenMpThreadsTest {
    static Stream<TestBackend> onHost() {
        return TestBackend.onHost();
    }

    @BeforeEach
    void needsOpenMp() {
        assumeTrue(Backend.NATIVE.isAvailable() && TestSupport.isLoaded(), "the native library is not built");
        assumeTrue(TestSupport.openMpRegion(3) == 3, "the compiler had no OpenMP");
    }

    private static List<HostBuffer> gradients() {
        List<HostBuffer> buffers = new ArrayList<>();
        int length = 150_000;
        for (DType dtype : DType.values()) buffers.add(Values.buffer(dtype, Values.normal(length, length, 1)));
        buffers.add(HostBuffer.wrap(new float[length]));
        buffers.add(HostBuffer.wrap(new float[] {1, 2, 3}));
        return buffers;
    }

    /** Returns all figures and elements of clips of fresh gradients. */
    private static List<Object> observed(GradientClipperBuilder builder) {
        List<HostBuffer> buffers = gradients();
        for (HostBuffer buffer : buffers) builder.add(buffer);
        List<Object> seen = new ArrayList<>();
        try (GradientClipper clipper = builder.build()) {
            for (NormType type : NormContractTest.TYPES) seen.add(clipper.globalNorm(type));
            seen.add(clipper.clipByGlobalNorm(1).coefficient());
            seen.add(clipper.clipByValue(0.001).elementsChanged());
        }
        for (HostBuffer buffer : buffers) {
            for (long bits : Values.bits(buffer)) seen.add(bits);
        }
        return seen;
    }

    @ParameterizedTest
    @MethodSource("onHost")
    void theBitsAreThoseOfOneThread(TestBackend backend) {
        List<Object> expected = observed(backend.builder().threads(1));
        for (int threads : new int[] {1, 2, 5}) {
            assertEquals(expected, observed(backend.builder().openMpThreads(TestSupport.OPEN_MP, threads)));
        }
        assertEquals(expected, observed(backend.builder().openMpThreads(TestSupport.OPEN_MP)));
    }

    /** Each thread that clips has OpenMP threads of its own, which are daemons of the JVM until they end with it. */
    @Test
    void theThreadsAreOpenMpsAndAreDetachedWhenTheyEnd() throws InterruptedException {
        Set<Thread> helpers = HelperThreads.of(() -> {
            try (GradientClipper clipper = GradientClipper.builder()
                    .openMpThreads(TestSupport.OPEN_MP, 3)
                    .add(HostBuffer.allocate(DType.FLOAT32, 1 << 20))
                    .build()) {
                for (int i = 0; i < 50; i++) clipper.globalNorm();
            }
        });
        assertEquals(2, helpers.size());
        for (Thread thread : helpers) {
            assertTrue(thread.isDaemon());
            // The thread ends for the JVM when it is detached.
            thread.join();
        }
    }

    @ParameterizedTest
    @MethodSource("onHost")
    void manyClippersInManyThreadsWhileTheCollectorRuns(TestBackend backend) throws Exception {
        List<Object> expected = observed(backend.builder().threads(1));
        ExecutorService threads = Executors.newFixedThreadPool(4);
        try {
            List<Future<List<Object>>> all = new ArrayList<>();
            for (int i = 0; i < 6; i++) {
                all.add(threads.submit(() -> observed(backend.builder().openMpThreads(TestSupport.OPEN_MP, 2))));
            }
            for (Future<List<Object>> one : all) {
                System.gc();
                assertEquals(expected, one.get());
            }
        } finally {
            threads.shutdownNow();
        }
    }

    @Test
    void withoutTheLibraryItsOwnThreadsDoIt() {
        List<Object> expected = observed(GradientClipper.builder().threads(1));
        assertEquals(expected, observed(GradientClipper.builder().openMpThreads("libnotloaded.so", 2)));
        assertEquals(expected, observed(GradientClipper.builder().openMpThreads("", 2)));
        assertEquals(expected, observed(GradientClipper.builder().openMpThreads("libnotloaded.so")));
        // This library is loaded but does not use OpenMP.
        assertEquals(expected, observed(GradientClipper.builder().openMpThreads("libjvm.so", 2)));
    }

    @Test
    void aThreadCountBelowOneIsRefused() {
        GradientClipperBuilder builder = GradientClipper.builder();
        String message = assertThrows(
                        IllegalArgumentException.class, () -> builder.openMpThreads(TestSupport.OPEN_MP, 0))
                .getMessage();
        assertTrue(String.valueOf(message).contains("0"), message);
    }

    @Test
    void theJvmEndsWhileOpenMpThreadsAreThere() {
        assertEquals("3\n", ChildJvm.run(List.of(), OpenMpProbe.class));
    }
}
