// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Norms of samples, each over one row of every tensor. */
class SampleRulesTest {
    static Stream<TestBackend> backends() {
        return TestBackend.all();
    }

    /** Gradients of some samples in several tensors. */
    private static final class Batch {
        final int samples;
        final List<@Nullable HostBuffer> tensors = new ArrayList<>();
        private final List<double[]> values = new ArrayList<>();

        Batch(int samples, int count, int longest, long seed) {
            this.samples = samples;
            Random random = new Random(seed);
            for (int i = 0; i < count; i++) {
                int rowLength = i % 7 == 5 ? 0 : 1 + random.nextInt(longest);
                double[] drawn = Values.normal(seed + i, samples * rowLength, 1);
                HostBuffer buffer = Values.buffer(DType.values()[i % 4], drawn);
                values.add(Values.read(buffer));
                tensors.add(i % 9 == 8 ? null : buffer);
            }
        }

        int rowLength(int tensor) {
            return values.get(tensor).length / samples;
        }

        HostBuffer present(int tensor) {
            HostBuffer buffer = tensors.get(tensor);
            return buffer == null ? Values.buffer(DType.FLOAT32) : buffer;
        }

        GradientClipper clipper(TestBackend backend) {
            GradientClipperBuilder builder = backend.builder();
            for (int i = 0; i < tensors.size(); i++) add(builder, backend, i).rows(samples);
            return builder.build();
        }

        GradientClipperBuilder add(GradientClipperBuilder builder, TestBackend backend, int tensor) {
            HostBuffer buffer = tensors.get(tensor);
            if (buffer != null) return builder.add("t" + tensor, backend.place(buffer));
            return builder.declare("t" + tensor, DType.FLOAT32, values.get(tensor).length);
        }

        /** One sample's rows as tensors of their own. */
        List<@Nullable HostBuffer> sample(int sample) {
            List<@Nullable HostBuffer> rows = new ArrayList<>();
            for (int i = 0; i < tensors.size(); i++) {
                HostBuffer buffer = tensors.get(i);
                int length = rowLength(i);
                double[] row = Arrays.copyOfRange(values.get(i), sample * length, (sample + 1) * length);
                rows.add(buffer == null ? null : Values.buffer(buffer.dtype(), row));
            }
            return rows;
        }

        long[] bits(int tensor, int sample) {
            int length = rowLength(tensor);
            return Arrays.copyOfRange(Values.bits(present(tensor)), sample * length, (sample + 1) * length);
        }
    }

    /** A sample is clipped as its rows would be by themselves: the same coefficient, the same bits of elements. */
    private static void assertLikeSamplesAlone(TestBackend backend, Batch batch, NormRule rule) {
        Batch before = batch;
        try (GradientClipper clipper = batch.clipper(backend)) {
            ClipResult result = clipper.clip(rule.withScope(Scope.SAMPLE));
            boolean someClipped = false;
            for (int s = 0; s < batch.samples; s++) {
                List<@Nullable HostBuffer> rows = before.sample(s);
                GradientClipperBuilder alone = backend.builder();
                for (int i = 0; i < rows.size(); i++) {
                    HostBuffer row = rows.get(i);
                    if (row == null) alone.declare("t" + i, DType.FLOAT32, before.rowLength(i));
                    else alone.add("t" + i, backend.place(row));
                }
                try (GradientClipper one = alone.build()) {
                    ClipResult want = one.clip(rule.withScope(Scope.ALL));
                    someClipped |= want.clipped();
                    for (int i = 0; i < rows.size(); i++) {
                        String what = rule + " sample " + s + " tensor " + i;
                        assertEquals(want.coefficient(), result.rowCoefficient(i, s), what);
                        HostBuffer row = rows.get(i);
                        if (row != null) assertArrayEquals(Values.bits(row), batch.bits(i, s), what);
                    }
                }
            }
            assertEquals(someClipped, result.clipped());
            assertEquals(Double.NaN, result.coefficient());
            assertEquals(Double.NaN, result.clippedNorm());
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void eachIsClippedAsItWouldBeAlone(TestBackend backend) {
        int seed = 0;
        for (int samples : new int[] {1, 2, 33}) {
            for (int tensors : new int[] {1, 2, 40}) {
                for (NormRule rule : List.of(
                        ClipRule.globalNorm(12),
                        ClipRule.globalNorm(25).withNormType(NormType.L1).withInverseScale(0.5),
                        ClipRule.normalize(3).withNormType(NormType.INF),
                        ClipRule.averageNorm(0.05),
                        ClipRule.blockRms(0.9))) {
                    assertLikeSamplesAlone(
                            backend, new Batch(samples, tensors, tensors == 40 ? 60 : 3000, seed++), rule);
                }
            }
        }
    }

    /** More tensors than one run of the fold adds up. */
    @ParameterizedTest
    @MethodSource("backends")
    void moreTensorsThanARun(TestBackend backend) {
        for (int tensors : new int[] {1024, 1025, 2100}) {
            assertLikeSamplesAlone(backend, new Batch(3, tensors, 3, tensors), ClipRule.globalNorm(20));
        }
    }

    /** The sums of FLOAT64 that are kept scaled are gathered too: sample 0 is tiny, sample 1 huge, sample 2 both. */
    @ParameterizedTest
    @MethodSource("backends")
    void outsideTheRangeOfSquares(TestBackend backend) {
        HostBuffer one = Values.buffer(DType.FLOAT64, 3e-300, 3e300, 3e-300);
        HostBuffer two = Values.buffer(DType.FLOAT64, 4e-300, 4e300, 4e300);
        try (GradientClipper clipper = backend.builder()
                .add(backend.place(one))
                .rows(3)
                .add(backend.place(two))
                .rows(3)
                .build()) {
            ClipResult result = clipper.clip(ClipRule.normalize(1).withScope(Scope.SAMPLE));
            assertEquals(0x1p127, result.rowCoefficient(0, 0), "at most");
            assertEquals(1 / 5e300, result.rowCoefficient(1, 1), 1e-314);
            assertEquals(1 / 4e300, result.rowCoefficient(0, 2), 1e-314);
        }
        assertArrayEquals(new double[] {3e-300 * 0x1p127, 0.6, 3e-300 / 4e300}, Values.read(one), 1e-15);
        assertArrayEquals(new double[] {4e-300 * 0x1p127, 0.8, 1}, Values.read(two), 1e-15);
    }

    @ParameterizedTest
    @MethodSource("backends")
    void ofAPNorm(TestBackend backend) {
        NormRule cubes = ClipRule.globalNorm(4).withNormType(NormType.p(3)).withEpsilon(0);
        for (int tensors : new int[] {3, 1030}) {
            Batch batch = new Batch(4, tensors, 5, 5);
            List<List<@Nullable HostBuffer>> rows = new ArrayList<>();
            for (int s = 0; s < 4; s++) rows.add(batch.sample(s));
            try (GradientClipper clipper = batch.clipper(backend)) {
                ClipResult result = clipper.clip(cubes.withScope(Scope.SAMPLE));
                for (int s = 0; s < 4; s++) {
                    double sum = 0;
                    for (HostBuffer row : rows.get(s)) {
                        if (row == null) continue;
                        for (double x : Values.read(row)) sum += Math.pow(Math.abs(x), 3);
                    }
                    double want = Math.min(1, 4 / Math.cbrt(sum));
                    assertEquals(want, result.rowCoefficient(tensors - 1, s), 1e-12);
                }
            }
        }
    }

    /** Opacus: min(1, c / (n + 1e-6)); Optax: min(c / n, 1). Samples (3, 4 | 12), (0.3, 0.4 | 0), (0, 0 | 0). */
    @ParameterizedTest
    @MethodSource("backends")
    void byHand(TestBackend backend) {
        for (boolean optax : new boolean[] {false, true}) {
            HostBuffer weight = Values.buffer(DType.FLOAT64, 3, 4, 0.3, 0.4, 0, 0);
            HostBuffer bias = Values.buffer(DType.FLOAT64, 12, 0, 0);
            NormRule rule = ClipRule.perSampleNorm(6.5);
            try (GradientClipper clipper = backend.builder()
                    .add("weight", backend.place(weight))
                    .rows(3)
                    .add("bias", backend.place(bias))
                    .rows(3)
                    .build()) {
                ClipResult result = clipper.clip(optax ? rule.withEpsilon(0) : rule);
                double first = optax ? 0.5 : 6.5 / (13 + 1e-6);
                for (int tensor = 0; tensor < 2; tensor++) {
                    assertEquals(first, result.rowCoefficient(tensor, 0));
                    assertEquals(1, result.rowCoefficient(tensor, 1));
                    assertEquals(1, result.rowCoefficient(tensor, 2), "zeros are not clipped");
                    assertEquals(Double.NaN, result.tensorCoefficient(tensor));
                }
                assertEquals(5, result.rowNorm(0, 0));
                assertTrue(result.clipped());
                assertArrayEquals(new double[] {3 * first, 4 * first, 0.3, 0.4, 0, 0}, Values.read(weight));
                assertArrayEquals(new double[] {12 * first, 0, 0}, Values.read(bias));
                assertFalse(clipper.clip(ClipRule.perSampleNorm(7)).clipped());
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void anotherNumberOfRowsIsRefusedByName(TestBackend backend) {
        HostBuffer weight = Values.buffer(DType.FLOAT32, 3, 4, 5, 6);
        HostBuffer bias = Values.buffer(DType.FLOAT32, 12, 13);
        try (GradientClipper clipper = backend.builder()
                .group("all")
                .add("fc.weight", backend.place(weight))
                .rows(2)
                .add("fc.bias", backend.place(bias))
                .build()) {
            for (ClipRule rule :
                    List.of(ClipRule.perSampleNorm(1), ClipRule.perGroup(Map.of("all", ClipRule.perSampleNorm(1))))) {
                String message = String.valueOf(assertThrows(IllegalArgumentException.class, () -> clipper.clip(rule))
                        .getMessage());
                assertTrue(message.startsWith("fc.bias has 1 rows, but fc.weight has 2; "), message);
            }
            assertThrows(IllegalArgumentException.class, () -> clipper.prepare(ClipRule.perSampleNorm(1)));
        }
        assertArrayEquals(new double[] {12, 13}, Values.read(bias), "untouched");
        assertThrows(IllegalArgumentException.class, () -> ClipRule.adaptive(1).withScope(Scope.SAMPLE));
    }

    /** Samples of one group, other rules for the others, tensors in none. */
    @ParameterizedTest
    @MethodSource("backends")
    void inAGroup(TestBackend backend) {
        HostBuffer other = Values.buffer(DType.FLOAT32, 3, 4);
        HostBuffer a = Values.buffer(DType.FLOAT32, 3, 4, 5, 12);
        HostBuffer b = Values.buffer(DType.FLOAT64, 12, 84);
        HostBuffer head = Values.buffer(DType.FLOAT32, 6, 8, 9, 12);
        Map<String, ClipRule> rules = new LinkedHashMap<>();
        rules.put("head", ClipRule.perRowNorm(5).withEpsilon(0));
        rules.put("body", ClipRule.perSampleNorm(13).withEpsilon(0));
        try (GradientClipper clipper = backend.builder()
                .add(backend.place(other))
                .group("body")
                .add(backend.place(a))
                .rows(2)
                .add(backend.place(b))
                .rows(2)
                .group("head")
                .add(backend.place(head))
                .rows(2)
                .build()) {
            ClipResult result = clipper.clip(ClipRule.perGroup(rules));
            assertTrue(result.clipped());
            // Norms 13 and √(5² + 12² + 84²) = 85; of rows of the head 10 and 15.
            assertEquals(1, result.rowCoefficient(2, 0));
            assertEquals(13 / 85.0, result.rowCoefficient(1, 1));
            assertEquals(13 / 85.0, result.rowCoefficient(2, 1));
            assertEquals(5 / 10.0, result.rowCoefficient(3, 0));
            assertEquals(5 / 15.0, result.rowCoefficient(3, 1));
            assertArrayEquals(new double[] {3, 4}, Values.read(other));
            clipper.clip(ClipRule.globalNorm(1));
            assertEquals(1, clipper.globalNorm(), 1e-6);
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void oneSampleThatIsNotFinite(TestBackend backend) {
        for (NonFinitePolicy policy : NonFinitePolicy.values()) {
            HostBuffer a = Values.buffer(DType.FLOAT32, 3, 4, 30, 40);
            HostBuffer b = Values.buffer(DType.FLOAT32, 0, Double.NaN);
            ClipRule rule = ClipRule.perSampleNorm(2.5).withEpsilon(0).withNonFinitePolicy(policy);
            try (GradientClipper clipper = backend.builder()
                    .add("a", backend.place(a))
                    .rows(2)
                    .add("b", backend.place(b))
                    .rows(2)
                    .build()) {
                if (policy == NonFinitePolicy.ERROR) {
                    Exception e = assertThrows(NonFiniteGradientException.class, () -> clipper.clip(rule));
                    assertTrue(String.valueOf(e.getMessage()).contains("b"), e::toString);
                } else {
                    assertTrue(clipper.clip(rule).nonFinite());
                }
            }
            double nan = Double.NaN;
            double[] want = switch (policy) {
                case PROPAGATE -> new double[] {1.5, 2, nan, nan};
                case ERROR, SKIP -> new double[] {3, 4, 30, 40};
                case ZERO -> new double[] {1.5, 2, 1.5, 2};
            };
            assertArrayEquals(want, Values.read(a), policy::toString);
        }
    }

    /** A step by samples is a clip by them and then a step. */
    @ParameterizedTest
    @MethodSource("backends")
    void steps(TestBackend backend) {
        double[] drawn = Values.normal(1, 60, 1);
        double[] weights = new double[2 * 60];
        for (int run = 0; run < 2; run++) {
            HostBuffer gradient = Values.buffer(DType.FLOAT64, drawn);
            HostBuffer bias = Values.buffer(DType.FLOAT64, 3, 4, 5);
            HostBuffer w = Values.buffer(DType.FLOAT64, Values.constant(60, 1));
            HostBuffer wOfBias = Values.buffer(DType.FLOAT64, 1, 1, 1);
            try (GradientClipper clipper = backend.builder()
                    .add(backend.place(gradient))
                    .rows(3)
                    .weights(backend.place(w))
                    .add(backend.place(bias))
                    .rows(3)
                    .weights(backend.place(wOfBias))
                    .build()) {
                ClipRule rule = ClipRule.perSampleNorm(2);
                if (run == 1) assertTrue(clipper.clip(rule).clipped());
                clipper.step(Update.sgd(0.5), run == 1 ? ClipRule.globalNorm(Double.POSITIVE_INFINITY) : rule);
            }
            System.arraycopy(Values.read(w), 0, weights, 60 * run, 60);
        }
        assertArrayEquals(Arrays.copyOf(weights, 60), Arrays.copyOfRange(weights, 60, 120), 1e-15);
    }

    /** Rows of a sample that lie on two ranks: rank 0 has the first tensor, rank 1 the second and a row of the third. */
    @ParameterizedTest
    @MethodSource("backends")
    void overRanks(TestBackend backend) {
        double[] first = {3, 4, 0, 6};
        HostBuffer a = Values.buffer(DType.FLOAT64, first);
        HostBuffer b = Values.buffer(DType.FLOAT64, 12, 8);
        HostBuffer row0 = Values.buffer(DType.FLOAT64, 84);
        HostBuffer row1 = Values.buffer(DType.FLOAT64, 0);
        ClipRule rule = ClipRule.perSampleNorm(8.5).withEpsilon(0);
        try (GradientClipper zero = backend.builder()
                        .add("a", backend.place(a))
                        .rows(2)
                        .shard(0, 4)
                        .elsewhere("b", DType.FLOAT64, 2)
                        .add("c", backend.place(row0))
                        .rows(1)
                        .shard(0, 2)
                        .build();
                GradientClipper one = backend.builder()
                        .elsewhere("a", DType.FLOAT64, 4)
                        .add("b", backend.place(b))
                        .rows(2)
                        .shard(0, 2)
                        .add("c", backend.place(row1))
                        .rows(1)
                        .shard(1, 2)
                        .build()) {
            GlobalNorms norms = GlobalNorms.combine(List.of(
                    zero.partialNorm(rule).toBytes(), one.partialNorm(rule).toBytes()));
            // Norms √(3² + 4² + 12² + 84²) = 85 and √(6² + 8²) = 10.
            assertEquals(0.1, zero.clip(rule, norms).rowCoefficient(0, 0));
            assertEquals(0.85, one.clip(rule, norms).rowCoefficient(1, 1));
        }
        assertArrayEquals(new double[] {3 * 0.1, 4 * 0.1, 0, 6 * 0.85}, Values.read(a));
        assertArrayEquals(new double[] {12 * 0.1, 8 * 0.85}, Values.read(b));
        assertArrayEquals(new double[] {84 * 0.1}, Values.read(row0));
    }

    @ParameterizedTest
    @EnumSource(Backend.class)
    void streamed(Backend backend) {
        assumeTrue(backend.isAvailable(), backend::reason);
        HostBuffer a = Values.buffer(DType.FLOAT64, 3, 4, 0.3, 0.4);
        HostBuffer b = Values.buffer(DType.FLOAT64, 12, 0);
        try (StreamingClip clip = StreamingClip.of(ClipRule.perSampleNorm(6.5).withEpsilon(0), backend, 1)) {
            for (HostBuffer tensor : List.of(a, b)) {
                clip.rows(2, tensor.length() / 2);
                clip.measure(tensor);
                clip.endTensor(tensor == a ? "a" : "b");
            }
            clip.decide();
            assertEquals(0.5, clip.rowCoefficient(1, 0));
            assertEquals(1, clip.clippedRows(0));
            clip.apply(0, 0, a);
            clip.apply(1, 0, b);
        }
        assertArrayEquals(new double[] {1.5, 2, 0.3, 0.4}, Values.read(a));
        assertArrayEquals(new double[] {6, 0}, Values.read(b));
        try (StreamingClip clip = StreamingClip.of(ClipRule.perSampleNorm(1), backend, 1)) {
            clip.rows(2, 2);
            clip.measure(a);
            clip.endTensor("a");
            clip.measure(b);
            clip.endTensor("b");
            String message = String.valueOf(
                    assertThrows(IllegalArgumentException.class, clip::decide).getMessage());
            assertTrue(message.startsWith("b has 1 rows, but a has 2; "), message);
        }
    }

    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("dev.gradclip.TestBackend#onDevices")
    void captured(TestBackend backend) {
        HostBuffer a = Values.buffer(DType.FLOAT32, 3, 4, 0.3, 0.4);
        HostBuffer b = Values.buffer(DType.FLOAT32, 12, 0);
        ClipRule rule = ClipRule.perSampleNorm(6.5).withEpsilon(0);
        try (GradientClipper clipper = backend.builder()
                        .add(backend.place(a))
                        .rows(2)
                        .add(backend.place(b))
                        .rows(2)
                        .build();
                CudaStream stream = CudaStream.create()) {
            assertTrue(clipper.clip(rule).clipped());
            CapturedClip[] clip = new CapturedClip[1];
            PreparedClip prepared = clipper.prepare(rule);
            try (CudaGraph graph = CudaGraph.capture(stream, () -> clip[0] = prepared.capture(stream))) {
                graph.launch(stream);
                stream.synchronize();
                assertEquals(Math.sqrt(42.25 + 0.25), clip[0].latest().globalNorm(), 1e-6);
                String message = String.valueOf(assertThrows(
                                IllegalArgumentException.class,
                                () -> clip[0].setRule(ClipRule.perSampleNorm(1).withEpsilon(0), stream))
                        .getMessage());
                assertTrue(message.contains("of each sample can't change"), message);
            } finally {
                if (clip[0] != null) clip[0].close();
            }
        }
        assertArrayEquals(new double[] {1.5, 2, 0.3, 0.4}, Values.read(a), 1e-7);
    }
}
