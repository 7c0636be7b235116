// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.gradclip.internal.jni.TestSupport;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Rows and weights whose memory is bound, rebound and absent. */
class ParametersTest {
    private static final NormRule HALF = ClipRule.adaptive(0.5);

    static Stream<TestBackend> backends() {
        return TestBackend.all();
    }

    private static void assertRefused(Executable call, String... named) {
        String message =
                String.valueOf(assertThrows(RuntimeException.class, call).getMessage());
        for (String name : named) assertTrue(message.contains(name), message);
    }

    /** A clipper of "kernel", two units with weights, and "bias", one unit without. */
    private static GradientClipper clipper(
            TestBackend backend, HostBuffer kernel, HostBuffer weights, HostBuffer bias) {
        return backend.builder()
                .add("kernel", backend.place(kernel))
                .rows(2)
                .weights(backend.place(weights))
                .add("bias", backend.place(bias))
                .build();
    }

    private static double[] coefficients(GradientClipper clipper) {
        ClipResult result = clipper.clip(HALF);
        return new double[] {result.rowCoefficient(0, 0), result.rowCoefficient(0, 1), result.tensorCoefficient(1)};
    }

    private static HostBuffer floats(double... values) {
        return Values.buffer(DType.FLOAT32, values);
    }

    @ParameterizedTest
    @MethodSource("backends")
    void weightsComeAnewAndMayBeAbsent(TestBackend backend) {
        HostBuffer kernel = floats(30, 40, 30, 40);
        HostBuffer bias = floats(30, 40);
        HostBuffer first = floats(30, 40, 300, 400);
        HostBuffer second = floats(300, 400, 6, 8);
        try (GradientClipper clipper = clipper(backend, kernel, first, bias)) {
            assertArrayEquals(new double[] {0.5, 1, 1}, coefficients(clipper));
            assertArrayEquals(new double[] {15, 20, 30, 40}, Values.read(kernel));
            clipper.rebindWeights(backend.place(Arrays.asList(second, null)));
            assertArrayEquals(new double[] {1, 0.1, 1}, coefficients(clipper));
            clipper.rebindWeights(backend.place(Arrays.asList(null, null)));
            assertArrayEquals(new double[] {1, 1, 1}, coefficients(clipper));
            // A tensor that was bound without weights takes weights of its gradient's type.
            clipper.rebindWeights(backend.place(List.of(first, floats(6, 8))));
            assertArrayEquals(new double[] {1, 1, 0.1}, coefficients(clipper));
            assertArrayEquals(new double[] {3, 4}, Values.read(bias), 1e-6);
            assertEquals(6, clipper.clip(HALF).elements());
            assertEquals(2, clipper.clip(HALF).tensors());
        }
        assertArrayEquals(new double[] {30, 40, 300, 400}, Values.read(first));
        assertArrayEquals(new double[] {300, 400, 6, 8}, Values.read(second));
    }

    @ParameterizedTest
    @MethodSource("backends")
    void gradientsWithRowsComeAnewAndMayBeAbsent(TestBackend backend) {
        HostBuffer weights = floats(30, 40, 300, 400);
        HostBuffer bias = floats(1, 1);
        try (GradientClipper clipper = clipper(backend, floats(1, 1, 1, 1), weights, bias)) {
            HostBuffer now = floats(30, 40, 3000, 4000);
            clipper.rebind(backend.place(List.of(now, bias)));
            assertArrayEquals(new double[] {0.5, 0.05, 1}, coefficients(clipper), 1e-17);
            assertArrayEquals(new double[] {15, 20, 150, 200}, Values.read(now), 1e-4);
            clipper.rebind(backend.place(Arrays.asList(null, bias)));
            ClipResult result = clipper.clip(HALF);
            assertEquals(1, result.tensors());
            assertEquals(2, result.elements());
            assertEquals(0, result.rowNorm(0, 1));
            assertEquals(Math.sqrt(2), result.globalNorm(), 1e-15);
            float[] array = {0, 0, 600, 800};
            HostBuffer bound = backend.rebind(clipper, array, null).get(0);
            assertArrayEquals(new double[] {1, 0.25, 1}, coefficients(clipper));
            assertEquals(500, clipper.globalNorm() + 250);
            if (bound != null) assertArrayEquals(new double[] {0, 0, 150, 200}, Values.read(bound));
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void whatDoesNotFitIsNamedAndNothingIsRebound(TestBackend backend) {
        HostBuffer kernel = floats(30, 40, 30, 40);
        HostBuffer weights = floats(30, 40, 300, 400);
        HostBuffer bias = floats(1, 1);
        try (GradientClipper clipper = clipper(backend, kernel, weights, bias)) {
            assertRefused(() -> clipper.rebindWeights(backend.place(List.of(weights))), "2", "1");
            assertRefused(
                    () -> clipper.rebindWeights(backend.place(Arrays.asList(floats(1, 2, 3), null))),
                    "parameter of kernel",
                    "4",
                    "3");
            assertRefused(
                    () -> clipper.rebindWeights(
                            backend.place(Arrays.asList(weights, Values.buffer(DType.FLOAT64, 1, 2)))),
                    "parameter of bias",
                    "FLOAT64");
            assertRefused(
                    () -> clipper.rebindWeights(backend.place(Arrays.asList(kernel, null))),
                    "kernel",
                    "parameter of kernel",
                    "share memory");
            assertRefused(
                    () -> clipper.rebind(backend.place(List.of(weights, bias))),
                    "kernel",
                    "parameter of kernel",
                    "share memory");
            assertArrayEquals(new double[] {0.5, 1, 1}, coefficients(clipper));
        }
        try (GradientClipper none = backend.clipper(kernel)) {
            assertRefused(() -> none.rebindWeights(backend.place(List.of(weights))), "no parameters", "weights(");
            assertRefused(() -> none.rebindWeights(new long[1]), "no parameters");
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void aParameterThatIsAGradientIsRefused(TestBackend backend) {
        HostBuffer both = floats(1, 2);
        assertRefused(
                () -> backend.builder()
                        .add("tied", backend.place(both))
                        .weights(backend.place(both))
                        .build(),
                "tied",
                "parameter of tied",
                "share memory");
    }

    /** Rows follow one another from the address on. */
    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#onHost")
    void addresses(TestBackend backend) {
        assumeTrue(Backend.NATIVE.isAvailable() && TestSupport.isLoaded(), "addresses need the native library");
        long memory = TestSupport.reserve(1 << 16);
        HostBuffer gradient = HostBuffer.wrap(memory, 4, DType.FLOAT32, null);
        HostBuffer weights = HostBuffer.wrap(memory + 4096, 4, DType.FLOAT32, null);
        try (GradientClipper fill = GradientClipper.of(gradient);
                GradientClipper fillWeights = GradientClipper.of(weights);
                GradientClipper clipper = clipper(backend, floats(0, 0, 0, 0), floats(0, 0, 0, 0), floats(0, 0))) {
            fill.clipByValue(8, 8);
            fillWeights.clipByValue(4, 4);
            clipper.rebind(new long[] {memory, 0});
            clipper.rebindWeights(new long[] {memory + 4096, 0});
            assertArrayEquals(new double[] {0.25, 0.25, 1}, coefficients(clipper));
            assertEquals(8, fill.globalNorm(NormType.L1));
            clipper.rebindWeights(new long[] {memory + 4096 - 8, 0});
            // The first unit's weights are now the memory before them: 0.
            assertArrayEquals(new double[] {0.5e-3 / Math.sqrt(8), 1, 1}, coefficients(clipper), 1e-18);
            assertRefused(
                    () -> clipper.rebindWeights(new long[] {memory + 12, 0}),
                    "kernel",
                    "parameter of kernel",
                    "share memory");
            assertRefused(
                    () -> clipper.rebind(new long[] {memory + 4096, 0}),
                    "kernel",
                    "parameter of kernel",
                    "share memory");
            assertRefused(() -> clipper.rebindWeights(new long[1]), "2", "1");
            clipper.rebindWeights(new long[] {0, 0});
            assertArrayEquals(new double[] {1, 1, 1}, coefficients(clipper));
        } finally {
            TestSupport.release(memory, 1 << 16);
        }
    }
}
