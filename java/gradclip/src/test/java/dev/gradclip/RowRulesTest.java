// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.internal.reduce.SegmentLayout;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Rows with norms of their own: samples of a batch, and units compared with their weights. */
class RowRulesTest {
    static Stream<TestBackend> backends() {
        return TestBackend.all();
    }

    /** Optax and Opacus clip per example in this way: a row of zeros is not clipped. */
    @ParameterizedTest
    @MethodSource("backends")
    void samples(TestBackend backend) {
        HostBuffer batch = Values.buffer(DType.FLOAT64, 3, 4, 0, 0, 0.375, 0.5, -6, 8);
        try (GradientClipper clipper =
                backend.builder().add("batch", backend.place(batch)).rows(4).build()) {
            ClipResult result = clipper.clip(ClipRule.perRowNorm(2.5).withEpsilon(0));
            double[] norms = {5, 0, 0.625, 10};
            double[] coefficients = {0.5, 1, 1, 0.25};
            for (int i = 0; i < 4; i++) {
                assertEquals(norms[i], result.rowNorm(0, i));
                assertEquals(coefficients[i], result.rowCoefficient(0, i));
            }
            assertTrue(Double.isNaN(result.tensorCoefficient(0)));
            assertTrue(Double.isNaN(result.coefficient()));
            assertTrue(result.clipped());
            assertEquals(Math.sqrt(25 + 0.625 * 0.625 + 100), result.tensorNorm(0), 1e-15);
            assertEquals(result.tensorNorm(0), result.globalNorm());
            assertEquals(1, result.tensors());
            assertEquals(8, result.elements());
            assertThrows(IndexOutOfBoundsException.class, () -> result.rowNorm(0, 4));
            assertThrows(IndexOutOfBoundsException.class, () -> result.rowCoefficient(0, -1));
            assertThrows(IndexOutOfBoundsException.class, () -> result.rowNorm(1, 0));
            assertFalse(clipper.clip(ClipRule.perRowNorm(2.5).withEpsilon(0)).clipped());
        }
        assertArrayEquals(new double[] {1.5, 2, 0, 0, 0.375, 0.5, -1.5, 2}, Values.read(batch));
    }

    @ParameterizedTest
    @MethodSource("backends")
    void averagesOfRowsCountTheElementsOfARow(TestBackend backend) {
        HostBuffer buffer = Values.buffer(DType.FLOAT32, 3, 3, 3, 3, 12, 12, 12, 12);
        try (GradientClipper clipper =
                backend.builder().add(backend.place(buffer)).rows(2).build()) {
            // rms 3 and 12
            ClipResult rms = clipper.clip(ClipRule.blockRms(6).withScope(Scope.ROW));
            assertEquals(1, rms.rowCoefficient(0, 0));
            assertEquals(0.5, rms.rowCoefficient(0, 1));
            // norms 6 and 12 over 4 elements
            ClipResult mean = clipper.clip(ClipRule.averageNorm(0.75).withScope(Scope.ROW));
            assertEquals(0.5, mean.rowCoefficient(0, 0));
            assertEquals(0.25, mean.rowCoefficient(0, 1));
            assertEquals(
                    4, clipper.clip(ClipRule.normalize(12).withScope(Scope.ROW)).rowCoefficient(0, 0));
        }
        assertArrayEquals(new double[] {6, 6, 6, 6, 6, 6, 6, 6}, Values.read(buffer));
    }

    /** A tensor without elements may have no row, and nothing is clipped. */
    @ParameterizedTest
    @MethodSource("backends")
    void noRows(TestBackend backend) {
        HostBuffer empty = Values.buffer(DType.FLOAT32);
        HostBuffer batch = Values.buffer(DType.FLOAT32, 3, 4);
        GradientClipperBuilder builder = backend.builder().add("empty", backend.place(empty));
        try (GradientClipper clipper = builder.rows(0)
                .weights(backend.place(Values.buffer(DType.FLOAT32)))
                .add("batch", backend.place(batch))
                .rows(1)
                .weights(backend.place(Values.buffer(DType.FLOAT32, 0.3, 0.4)))
                .build()) {
            ClipResult result = clipper.clip(ClipRule.perRowNorm(2.5).withEpsilon(0));
            assertEquals(0, result.tensorNorm(0));
            assertEquals(1, result.tensorCoefficient(0));
            assertEquals(5, result.globalNorm());
            assertFalse(clipper.clip(ClipRule.adaptive(5)).clipped());
        }
        assertArrayEquals(new double[] {1.5, 2}, Values.read(batch));
        for (int rows : new int[] {0, -1}) {
            GradientClipperBuilder full = backend.builder().add("full", backend.place(batch));
            assertRefused(() -> full.rows(rows), "full", rows + " rows");
        }
        assertRefused(() -> backend.builder().add("empty", backend.place(empty)).rows(-1), "empty", "-1 rows");
    }

    private static void assertRefused(Executable call, String... said) {
        String message = String.valueOf(
                assertThrows(IllegalArgumentException.class, call).getMessage());
        for (String word : said) assertTrue(message.contains(word), message);
    }

    @Test
    void noRowsOfAStream() {
        for (ClipRule rule : List.of(ClipRule.perRowNorm(2.5).withEpsilon(0), ClipRule.adaptive(5))) {
            try (StreamingClip clip = StreamingClip.of(rule, Backend.JAVA, 1)) {
                clip.rows(0, 7);
                clip.measureWeights(Values.buffer(DType.FLOAT32));
                clip.endTensor("empty");
                clip.rows(1, 2);
                clip.measureWeights(Values.buffer(DType.FLOAT32, 0.3, 0.4));
                clip.measure(Values.buffer(DType.FLOAT32, 3, 4));
                clip.endTensor("batch");
                assertTrue(clip.decide().clipped());
                assertEquals(0, clip.clippedRows(0));
                assertEquals(1, clip.clippedRows(1));
                clip.rowCoefficient(0, 0);
            }
        }
        try (StreamingClip clip = StreamingClip.of(ClipRule.perRowNorm(1), Backend.JAVA, 1)) {
            assertRefused(() -> clip.rows(-1, 2), "-1");
            clip.rows(0, 7);
            clip.measure(Values.buffer(DType.FLOAT32, 3));
            assertRefused(() -> clip.endTensor("full"), "full has 1 elements");
        }
    }

    /** A clipper or stream can't keep figures of so many rows. */
    @ParameterizedTest
    @MethodSource("backends")
    void tooManyRows(TestBackend backend) {
        HostBuffer empty = Values.buffer(DType.FLOAT32);
        for (int rows : new int[] {Integer.MAX_VALUE, 1 << 28, SegmentLayout.MOST + 1}) {
            GradientClipperBuilder builder = backend.builder()
                    .add("first", backend.place(Values.buffer(DType.FLOAT32, 3)))
                    .add("w", backend.place(empty));
            assertRefused(() -> builder.rows(rows).build(), "w ", rows + " rows");
        }
        GradientClipperBuilder twice = backend.builder()
                .declare("first", DType.FLOAT64, 0)
                .rows(SegmentLayout.MOST / 2)
                .declare("w", DType.FLOAT64, 0)
                .rows(SegmentLayout.MOST);
        assertRefused(twice::build, "w ");
        GradientClipperBuilder withParameters = backend.builder().declare("w", DType.FLOAT64, 0);
        withParameters.rows(SegmentLayout.MOST / 2 + 1).weights(DType.FLOAT32);
        assertRefused(withParameters::build, "w ");
        try (StreamingClip clip = StreamingClip.of(ClipRule.perRowNorm(1), Backend.JAVA, 1)) {
            clip.rows(Integer.MAX_VALUE, 0);
            assertRefused(() -> clip.endTensor("w"), "w ", "2147483647 rows");
        }
        try (StreamingClip clip = StreamingClip.of(ClipRule.perRowNorm(1), Backend.JAVA, 1)) {
            clip.rows(1 << 29, Long.MAX_VALUE);
            clip.measure(Values.buffer(DType.FLOAT32, 3));
            assertRefused(() -> clip.endTensor("w"), "w has 1 elements");
        }
    }

    /** Every backend names the first row that is not finite with its norm; without rows, the tensor's norm. */
    @ParameterizedTest
    @MethodSource("backends")
    void errorNamesTheRow(TestBackend backend) {
        double[][] odd = {
            {Double.POSITIVE_INFINITY, 1, Double.NaN, 1},
            {1, 1, Double.NaN, Double.NEGATIVE_INFINITY},
            {1, Double.NEGATIVE_INFINITY, 1, 1}
        };
        String[] said = {
            "the norm of its row 0 is Infinity", "the norm of its row 1 is NaN", "the norm of its row 0 is Infinity"
        };
        for (int i = 0; i < odd.length; i++) {
            for (ClipRule rule : List.of(ClipRule.globalNorm(1), ClipRule.perRowNorm(1), ClipRule.value(1))) {
                ClipRule strict = rule.withInverseScale(0.5).withNonFinitePolicy(NonFinitePolicy.ERROR);
                for (int rows : new int[] {1, 2}) {
                    String norm = rows == 2 ? said[i] : i == 2 ? "its norm is Infinity" : "its norm is NaN";
                    GradientClipperBuilder builder = backend.builder()
                            .add("sound", backend.place(Values.buffer(DType.FLOAT32, 3, 4)))
                            .rows(2)
                            .add("w", backend.place(Values.buffer(DType.FLOAT32, odd[i])))
                            .rows(rows);
                    try (GradientClipper clipper = builder.build()) {
                        assertSaid(norm, () -> clipper.clip(strict));
                    }
                }
                try (StreamingClip clip = StreamingClip.of(strict, Backend.JAVA, 1)) {
                    clip.endTensor("sound");
                    clip.rows(2, 2);
                    clip.measure(Values.buffer(DType.FLOAT32, odd[i]));
                    clip.endTensor("w");
                    assertSaid(said[i], clip::decide);
                }
            }
        }
    }

    private static void assertSaid(String norm, Executable call) {
        NonFiniteGradientException e = assertThrows(NonFiniteGradientException.class, call);
        assertEquals("w", e.tensor());
        String message = String.valueOf(e.getMessage());
        assertTrue(message.startsWith("gradient of w is not finite (" + norm + ")"), message);
    }

    /** A tensor bound with rows is still one tensor to every other scope. */
    @ParameterizedTest
    @MethodSource("backends")
    void otherScopesTakeTheRowsTogether(TestBackend backend) {
        HostBuffer a = Values.buffer(DType.FLOAT64, 3, 0, 4, 0);
        HostBuffer b = Values.buffer(DType.FLOAT64, 12, 0);
        try (GradientClipper clipper = backend.builder()
                .add(backend.place(a))
                .rows(4)
                .add(backend.place(b))
                .build()) {
            ClipResult result = clipper.clip(ClipRule.perTensorNorm(2.5).withEpsilon(0));
            assertEquals(0.5, result.tensorCoefficient(0));
            for (int i = 0; i < 4; i++) assertEquals(0.5, result.rowCoefficient(0, i));
            assertEquals(2.5 / 12, result.tensorCoefficient(1));
            assertEquals(13, result.globalNorm());
            assertArrayEquals(new double[] {1.5, 0, 2, 0}, Values.read(a));
            // rms of 4 elements: sqrt(6.25 / 4) = 1.25; of the other: 2.5 / sqrt 2
            ClipResult rms = clipper.clip(ClipRule.blockRms(0.625));
            assertEquals(0.5, rms.tensorCoefficient(0));
            assertEquals(0.625 / (2.5 / Math.sqrt(2)), rms.tensorCoefficient(1), 1e-15);
        }
    }

    /** The formula with n = norm of the gradient, w of the weights, λ = 1/8, ε = 1e-3: m = λ · max(w, ε). */
    @ParameterizedTest
    @MethodSource("backends")
    void adaptiveByHand(TestBackend backend) {
        HostBuffer gradients = Values.buffer(
                DType.FLOAT64,
                6,
                8, // n = 10, w = 40, m = 5: 0.5
                0.3,
                0.4, // n = 0.5, w = 40, m = 5: left
                3,
                4, // n = 5 = m: m / n = 1
                3,
                -4, // w = 0, m = 1e-3 / 8: m / 5
                0,
                0, // n = 0: left
                0.3,
                0.4, // w = 4, m = 0.5 = n: 1
                3e-5,
                4e-5); // w = 0, n = 5e-5 < m = 1.25e-4: left
        HostBuffer weights = Values.buffer(DType.FLOAT32, 24, 32, 24, -32, 40, 0, 0, 0, 0, 0, 4, 0, 0, 0);
        double[] before = Values.read(gradients);
        long[] kept = Values.bits(weights);
        double[] coefficients = {0.5, 1, 1, 1e-3 / 8 / 5, 1, 1, 1};
        try (GradientClipper clipper = backend.builder()
                .add("kernel", backend.place(gradients))
                .rows(7)
                .weights(backend.place(weights))
                .build()) {
            ClipResult result = clipper.clip(ClipRule.adaptive(0.125));
            for (int i = 0; i < 7; i++) assertEquals(coefficients[i], result.rowCoefficient(0, i), 1e-16);
            assertTrue(result.clipped());
            assertEquals(14, result.elements());
        }
        double[] after = Values.read(gradients);
        for (int i = 0; i < 14; i++) assertEquals(before[i] * coefficients[i / 2], after[i], 1e-18 + 1e-15 * after[i]);
        assertArrayEquals(kept, Values.bits(weights));
    }

    /** Optax and timm divide by at least 1e-6. */
    @ParameterizedTest
    @MethodSource("backends")
    void adaptiveDividesByNoLessThanAMillionth(TestBackend backend) {
        HostBuffer gradient = Values.buffer(DType.FLOAT64, 1e-8, 0);
        HostBuffer weights = Values.buffer(DType.FLOAT64, 0, 0);
        try (GradientClipper clipper = backend.builder()
                .add(backend.place(gradient))
                .weights(backend.place(weights))
                .build()) {
            // m = 0.1 · 1e-9 is below n = 1e-8: m / 1e-6
            assertEquals(
                    0.1 * 1e-9 / 1e-6,
                    clipper.clip(ClipRule.adaptive(0.1, 1e-9)).tensorCoefficient(0));
        }
        assertEquals(1e-12, Values.read(gradient)[0], 1e-27);
    }

    @ParameterizedTest
    @MethodSource("backends")
    void adaptiveLeavesTensorsWithoutWeights(TestBackend backend) {
        HostBuffer hidden = Values.buffer(DType.FLOAT32, 30, 40);
        HostBuffer head = Values.buffer(DType.FLOAT32, 30, 40);
        HostBuffer weights = Values.buffer(DType.FLOAT16, 3, 4);
        try (GradientClipper clipper = backend.builder()
                .add("hidden", backend.place(hidden))
                .weights(backend.place(weights))
                .add("head", backend.place(head))
                .rows(2)
                .build()) {
            ClipResult result = clipper.clip(ClipRule.adaptive(1).withInverseScale(0.5));
            assertEquals(0.1, result.tensorCoefficient(0), 1e-17); // n = 25, m = 5, times 0.5
            assertEquals(0.5, result.rowCoefficient(1, 0));
            assertEquals(0.5, result.rowCoefficient(1, 1));
        }
        assertArrayEquals(new double[] {3, 4}, Values.read(hidden));
        assertArrayEquals(new double[] {15, 20}, Values.read(head));
    }

    @ParameterizedTest
    @MethodSource("backends")
    void zeroLambdaZeroesAndZeroEpsilonKeepsZeroWeightsWhereTheyAre(TestBackend backend) {
        for (double lambda : new double[] {0, 0.01}) {
            HostBuffer gradients = Values.buffer(DType.FLOAT32, 3, 4, 0, 0);
            HostBuffer weights = Values.buffer(DType.FLOAT32, 0, 0, 0, 0);
            try (GradientClipper clipper = backend.builder()
                    .add(backend.place(gradients))
                    .rows(2)
                    .weights(backend.place(weights))
                    .build()) {
                ClipResult result = clipper.clip(ClipRule.adaptive(lambda, 0));
                assertEquals(0, result.rowCoefficient(0, 0));
                assertEquals(1, result.rowCoefficient(0, 1), "0 / 0");
            }
            assertArrayEquals(new double[4], Values.read(gradients));
        }
    }

    /** No policy covers weights: a NaN in them makes NaN of that unit alone. */
    @ParameterizedTest
    @MethodSource("backends")
    void weightsThatAreNotFinite(TestBackend backend) {
        HostBuffer gradients = Values.buffer(DType.FLOAT32, 3, 4, 3, 4, 3, 4);
        HostBuffer weights = Values.buffer(DType.FLOAT32, Double.NaN, 1, Double.POSITIVE_INFINITY, 1, 3, 4);
        try (GradientClipper clipper = backend.builder()
                .add(backend.place(gradients))
                .rows(3)
                .weights(backend.place(weights))
                .build()) {
            ClipResult result = clipper.clip(ClipRule.adaptive(0.5));
            assertFalse(result.nonFinite());
            assertEquals(Double.NaN, result.rowCoefficient(0, 0));
            assertEquals(1, result.rowCoefficient(0, 1));
            assertEquals(0.5, result.rowCoefficient(0, 2));
        }
        double nan = Double.NaN;
        assertArrayEquals(new double[] {nan, nan, 3, 4, 1.5, 2}, Values.read(gradients));
    }
}
