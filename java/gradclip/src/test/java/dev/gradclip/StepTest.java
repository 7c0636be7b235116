// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.Buffer;
import java.nio.DoubleBuffer;
import java.nio.FloatBuffer;
import java.nio.ShortBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Weights that are updated with clipped gradients. */
class StepTest {
    static Stream<TestBackend> backends() {
        return TestBackend.all();
    }

    /** A tensor where the backend works. */
    private static final class Tensor {
        private final HostBuffer host;
        private final GradientBuffer buffer;

        Tensor(TestBackend backend, HostBuffer host) {
            this.host = host;
            buffer = backend.place(host);
        }

        GradientBuffer buffer() {
            return buffer;
        }

        double[] doubles() {
            return Values.read(host);
        }

        void set(double... values) {
            HostBuffer from = Values.buffer(host.dtype(), values);
            Buffer to = host.memory().get(0);
            if (to instanceof DoubleBuffer doubles)
                doubles.put((DoubleBuffer) from.memory().get(0));
            else if (to instanceof FloatBuffer floats)
                floats.put((FloatBuffer) from.memory().get(0));
            else ((ShortBuffer) to).put((ShortBuffer) from.memory().get(0));
            if (buffer instanceof DeviceBuffer device) device.copyFrom(host);
        }
    }

    private static final List<Update> UPDATES = List.of(
            Update.sgd(0.1),
            Update.sgd(0.1).withWeightDecay(0.02),
            Update.sgd(0.1).withMomentum(0.9),
            Update.sgd(0.1).withMomentum(0.9).withDampening(0.3).withWeightDecay(0.01),
            Update.sgd(0.1).withMomentum(0.9).withNesterov(),
            Update.adam(0.01),
            Update.adam(0.01).withWeightDecay(0.1),
            Update.adamW(0.01),
            Update.adamW(0.02).withBetas(0.8, 0.99).withEpsilon(1e-6),
            Update.adamW(0.001).withMasterWeights());

    /** The formulas in double, written as PyTorch's documentation has them. */
    private static final class Reference {
        final double[] p;
        final double[] first;
        final double[] second;
        int steps;

        Reference(double[] weights) {
            p = weights.clone();
            first = new double[p.length];
            second = new double[p.length];
        }

        void step(Update update, double[] g) {
            steps++;
            for (int i = 0; i < p.length; i++) {
                if (update instanceof SgdUpdate sgd) p[i] = sgd(sgd, g[i], i);
                else if (update instanceof AdamUpdate adam) p[i] = adam(adam, g[i], i);
            }
        }

        private double sgd(SgdUpdate u, double gradient, int i) {
            double g = gradient + u.weightDecay() * p[i];
            if (u.momentum() != 0) {
                first[i] = steps == 1 ? g : u.momentum() * first[i] + (1 - u.dampening()) * g;
                g = u.nesterov() ? g + u.momentum() * first[i] : first[i];
            }
            return p[i] - u.learningRate() * g;
        }

        private double adam(AdamUpdate u, double gradient, int i) {
            double w = p[i];
            double g = gradient;
            if (u.decoupled()) w -= u.learningRate() * u.weightDecay() * w;
            else g += u.weightDecay() * w;
            first[i] = u.beta1() * first[i] + (1 - u.beta1()) * g;
            second[i] = u.beta2() * second[i] + (1 - u.beta2()) * g * g;
            double m = first[i] / (1 - Math.pow(u.beta1(), steps));
            double v = second[i] / (1 - Math.pow(u.beta2(), steps));
            return w - u.learningRate() * m / (Math.sqrt(v) + u.epsilon());
        }
    }

    private static double[] random(Random random, int n, double scale) {
        return random.doubles(n, -scale, scale).toArray();
    }

    @ParameterizedTest
    @MethodSource("backends")
    void formulasInDouble(TestBackend backend) {
        for (Update update : UPDATES) {
            Random random = new Random(7);
            double[] weights = random(random, 1500, 1);
            Reference reference = new Reference(weights);
            Tensor gradient = new Tensor(backend, Values.buffer(DType.FLOAT64, new double[1500]));
            Tensor placed = new Tensor(backend, Values.buffer(DType.FLOAT64, weights));
            try (GradientClipper clipper = backend.builder()
                    .add("kernel", gradient.buffer())
                    .weights(placed.buffer())
                    .build()) {
                for (int step = 0; step < 20; step++) {
                    double[] g = random(random, 1500, 3);
                    gradient.set(g);
                    double norm = Math.sqrt(Arrays.stream(g).map(x -> x * x).sum());
                    ClipResult result =
                            clipper.step(update, ClipRule.globalNorm(10).withEpsilon(0));
                    assertEquals(norm, result.globalNorm(), 1e-12 * norm);
                    assertEquals(10 / norm, result.coefficient(), 1e-12);
                    assertTrue(result.clipped());
                    double c = result.coefficient();
                    reference.step(update, Arrays.stream(g).map(x -> x * c).toArray());
                    assertArrayEquals(g, gradient.doubles(), "the gradient stays");
                }
                assertArrayEquals(reference.p, placed.doubles(), 1e-13, update::toString);
                assertEquals(20, clipper.state().steps());
            }
        }
    }

    /** The clip and then a step that does not clip leave the same bits, in float and in double. */
    @ParameterizedTest
    @MethodSource("backends")
    void aStepIsAClipAndThenAStep(TestBackend backend) {
        List<ClipRule> rules = List.of(
                ClipRule.globalNorm(0.5),
                ClipRule.perTensorNorm(0.3).withInverseScale(0.25),
                ClipRule.value(-0.2, 0.4),
                ClipRule.value(0.1).withInverseScale(0.5),
                ClipRule.globalNorm(1e9));
        ClipRule none = ClipRule.value(Double.POSITIVE_INFINITY);
        for (DType dtype : List.of(DType.FLOAT32, DType.FLOAT64)) {
            for (ClipRule rule : rules) {
                for (Update update : UPDATES) {
                    Random random = new Random(3);
                    double[] g = random(random, 3000, 1);
                    double[] w = random(random, 3000, 1);
                    Tensor once = new Tensor(backend, Values.buffer(dtype, w));
                    Tensor twice = new Tensor(backend, Values.buffer(dtype, w));
                    Tensor onceGradient = new Tensor(backend, Values.buffer(dtype, g));
                    Tensor twiceGradient = new Tensor(backend, Values.buffer(dtype, g));
                    try (GradientClipper a = backend.builder()
                                    .add(onceGradient.buffer())
                                    .weights(once.buffer())
                                    .build();
                            GradientClipper b = backend.builder()
                                    .add(twiceGradient.buffer())
                                    .weights(twice.buffer())
                                    .build()) {
                        for (int step = 0; step < 3; step++) {
                            ClipResult stepped = a.step(update, rule);
                            twiceGradient.set(g);
                            ClipResult clipped = b.clip(rule);
                            b.step(update, none);
                            assertEquals(clipped.globalNorm(), stepped.globalNorm());
                            assertEquals(clipped.coefficient(), stepped.coefficient());
                            assertEquals(clipped.clippedNorm(), stepped.clippedNorm());
                            assertEquals(clipped.elementsChanged(), stepped.elementsChanged(), rule::toString);
                            assertEquals(clipped.clipped(), stepped.clipped());
                        }
                        assertArrayEquals(twice.doubles(), once.doubles(), () -> rule + " " + update);
                    }
                }
            }
        }
    }

    /**
     * Every type of gradient beside every type of weights, lengths around vectors and tiles, and all SIMD levels: the
     * same bits.
     */
    @ParameterizedTest
    @MethodSource("backends")
    void theSameBitsEverywhere(TestBackend backend) {
        List<DType> halves = List.of(DType.FLOAT32, DType.FLOAT16, DType.BFLOAT16);
        for (DType gradients : halves) {
            for (DType weights : halves) {
                for (Update update : UPDATES) {
                    assertArrayEquals(
                            weightsAfter(TestBackend.all().findFirst().orElseThrow(), gradients, weights, update),
                            weightsAfter(backend, gradients, weights, update),
                            () -> gradients + " " + weights + " " + update);
                }
            }
        }
    }

    private static double[] weightsAfter(TestBackend backend, DType gradients, DType weights, Update update) {
        Random random = new Random(11);
        List<Tensor> placed = new ArrayList<>();
        GradientClipperBuilder builder = backend.builder();
        for (int length : new int[] {1, 7, 17, 255, 2047, 2048, 4097, 5000}) {
            Tensor g = new Tensor(backend, Values.buffer(gradients, random(random, length, 2)));
            Tensor w = new Tensor(backend, Values.buffer(weights, random(random, length, 1)));
            builder.add(g.buffer()).weights(w.buffer());
            placed.add(w);
        }
        try (GradientClipper clipper = builder.build()) {
            for (int step = 0; step < 3; step++) clipper.step(update, ClipRule.globalNorm(1));
        }
        return placed.stream().flatMapToDouble(w -> Arrays.stream(w.doubles())).toArray();
    }

    @ParameterizedTest
    @MethodSource("backends")
    void aNaNUnderEachPolicy(TestBackend backend) {
        for (NonFinitePolicy policy : NonFinitePolicy.values()) {
            Tensor bad = new Tensor(backend, Values.buffer(DType.FLOAT32, 3, Double.NaN, 4));
            Tensor good = new Tensor(backend, Values.buffer(DType.FLOAT32, 1, 2));
            Tensor badWeights = new Tensor(backend, Values.buffer(DType.FLOAT32, 1, 1, 1));
            Tensor goodWeights = new Tensor(backend, Values.buffer(DType.FLOAT32, 1, 1));
            try (GradientClipper clipper = backend.builder()
                    .add("bad", bad.buffer())
                    .weights(badWeights.buffer())
                    .add("good", good.buffer())
                    .weights(goodWeights.buffer())
                    .build()) {
                ClipRule rule = ClipRule.globalNorm(1).withNonFinitePolicy(policy);
                Update update = Update.sgd(1).withMomentum(0.9);
                switch (policy) {
                    case ERROR -> {
                        NonFiniteGradientException e =
                                assertThrows(NonFiniteGradientException.class, () -> clipper.step(update, rule));
                        assertEquals("bad", e.tensor());
                        assertArrayEquals(new double[] {1, 1, 1}, badWeights.doubles());
                        assertEquals(0, clipper.state().steps());
                    }
                    case SKIP -> {
                        ClipResult result = clipper.step(update, rule);
                        assertTrue(result.nonFinite() && !result.clipped());
                        assertArrayEquals(new double[] {1, 1, 1}, badWeights.doubles());
                        assertArrayEquals(new double[] {1, 1}, goodWeights.doubles());
                        assertEquals(0, clipper.state().steps());
                    }
                    case ZERO -> {
                        assertTrue(clipper.step(update, rule).nonFinite());
                        double norm = Math.sqrt(30);
                        assertArrayEquals(new double[] {1 - 3 / norm, 1, 1 - 4 / norm}, badWeights.doubles(), 1e-6);
                        assertArrayEquals(new double[] {1 - 1 / norm, 1 - 2 / norm}, goodWeights.doubles(), 1e-6);
                    }
                    case PROPAGATE -> {
                        clipper.step(update, rule);
                        for (double w : goodWeights.doubles()) assertTrue(Double.isNaN(w));
                        assertEquals(1, clipper.state().steps());
                    }
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void anAbsentGradientLeavesItsTensor(TestBackend backend) {
        Tensor here = new Tensor(backend, Values.buffer(DType.FLOAT32, 3, 4));
        Tensor weights = new Tensor(backend, Values.buffer(DType.FLOAT32, 1, 1));
        Tensor others = new Tensor(backend, Values.buffer(DType.FLOAT32, 1, 1, 1));
        Tensor late = new Tensor(backend, Values.buffer(DType.FLOAT32, 0, 0, 0));
        try (GradientClipper clipper = backend.builder()
                .add("here", here.buffer())
                .weights(weights.buffer())
                .declare("late", DType.FLOAT32, 3)
                .weights(others.buffer())
                .build()) {
            Update update = Update.adamW(0.1);
            for (int i = 0; i < 3; i++) clipper.step(update, ClipRule.globalNorm(100));
            assertArrayEquals(new double[] {1, 1, 1}, others.doubles());
            assertEquals(3, clipper.state().steps("here"));
            assertEquals(0, clipper.state().steps("late"));
            late.set(1, 1, 1);
            clipper.rebind(Arrays.asList(here.buffer(), late.buffer()));
            clipper.step(update, ClipRule.globalNorm(100));
            assertEquals(4, clipper.state().steps("here"));
            assertEquals(1, clipper.state().steps("late"));
            // The first step of Adam is lr in the gradient's direction, whatever its size.
            double decayed = 1 - 0.1 * 0.01;
            assertArrayEquals(new double[] {decayed - 0.1, decayed - 0.1, decayed - 0.1}, others.doubles(), 1e-6);
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void aTensorWithoutElementsCountsItsStepsWhereItIsPresent(TestBackend backend) {
        Tensor here = new Tensor(backend, Values.buffer(DType.FLOAT32, 3, 4));
        Tensor weights = new Tensor(backend, Values.buffer(DType.FLOAT32, 1, 1));
        Tensor empty = new Tensor(backend, Values.buffer(DType.FLOAT32));
        try (GradientClipper clipper = backend.builder()
                .add("here", here.buffer())
                .weights(weights.buffer())
                .add("empty", empty.buffer())
                .weights(empty.buffer())
                .declare("absent", DType.FLOAT32, 0)
                .weights(empty.buffer())
                .build()) {
            Update update = Update.adam(0.1);
            ClipRule rule = ClipRule.globalNorm(1);
            clipper.step(update, rule);
            clipper.step(update, ClipRule.value(1));
            assertSteps(clipper, 2, 2, 0);
            clipper.rebind(Arrays.asList(here.buffer(), null, empty.buffer()));
            clipper.step(update, rule);
            assertSteps(clipper, 3, 2, 1);
            clipper.rebind(Arrays.asList(null, empty.buffer(), null));
            clipper.step(update, rule);
            assertSteps(clipper, 3, 3, 1);
            if (!(here.buffer() instanceof DeviceBuffer device)) return;
            clipper.rebind(new long[] {0, 0, device.address()});
            clipper.step(update, rule);
            assertSteps(clipper, 3, 3, 2);
        }
    }

    private static void assertSteps(GradientClipper clipper, long... steps) {
        assertArrayEquals(
                steps,
                clipper.names().stream()
                        .mapToLong(name -> clipper.state().steps(name))
                        .toArray());
    }

    @ParameterizedTest
    @MethodSource("backends")
    void emptyTensorsWithoutWeightsAreRefusedAndNoTensorsAreNot(TestBackend backend) {
        try (GradientClipper clipper = backend.builder()
                        .add("empty", backend.place(Values.buffer(DType.FLOAT32)))
                        .build();
                GradientClipper none = backend.builder().build()) {
            String said = assertThrows(
                            IllegalStateException.class, () -> clipper.step(Update.adam(1), ClipRule.globalNorm(1)))
                    .getMessage();
            assertTrue(String.valueOf(said).contains("empty has no weights"), said);
            assertThrows(IllegalStateException.class, () -> clipper.prepare(Update.adam(1), ClipRule.globalNorm(1)));
            assertEquals(0, none.step(Update.sgd(1), ClipRule.globalNorm(1)).globalNorm());
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void aPreparedStepIsAStep(TestBackend backend) {
        Tensor gradient = new Tensor(backend, Values.buffer(DType.FLOAT32, 3, 4));
        Tensor weights = new Tensor(backend, Values.buffer(DType.FLOAT32, 1, 1));
        Tensor other = new Tensor(backend, Values.buffer(DType.FLOAT32, 1, 1));
        try (GradientClipper clipper = backend.builder()
                        .add("weights", gradient.buffer())
                        .weights(weights.buffer())
                        .build();
                GradientClipper plain = backend.builder()
                        .add("weights", gradient.buffer())
                        .weights(other.buffer())
                        .build()) {
            Update update = Update.adamW(0.1);
            ClipRule rule = ClipRule.globalNorm(1);
            PreparedStep prepared = clipper.prepare(update, rule);
            assertEquals(update, prepared.update());
            assertEquals(rule, prepared.rule());
            assertEquals(0, clipper.state().steps());
            for (int i = 0; i < 3; i++) {
                ClipResult found = i == 2 ? prepared.runAsync(CudaStream.DEFAULT) : prepared.run();
                assertEquals(plain.step(update, rule).globalNorm(), found.globalNorm());
            }
            assertArrayEquals(other.doubles(), weights.doubles());
            assertEquals(3, clipper.state().steps("weights"));
            if (backend.onDevice()) return;
            String said =
                    String.valueOf(assertThrows(IllegalStateException.class, () -> prepared.capture(CudaStream.DEFAULT))
                            .getMessage());
            assertTrue(said.contains("host memory") && said.contains("use step"), said);
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void gradientsAreZeroedOnRequest(TestBackend backend) {
        for (DType dtype : DType.values()) {
            Tensor gradient = new Tensor(backend, Values.buffer(dtype, 3, -4, 0.5));
            Tensor weights = new Tensor(backend, Values.buffer(dtype, 1, 1, 1));
            try (GradientClipper clipper = backend.builder()
                    .add(gradient.buffer())
                    .weights(weights.buffer())
                    .build()) {
                clipper.step(Update.sgd(0.5).zeroingGradients(), ClipRule.globalNorm(100));
                assertArrayEquals(new double[] {0, 0, 0}, gradient.doubles());
                assertArrayEquals(new double[] {-0.5, 3, 0.75}, weights.doubles());
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void rowsGroupsAndAdaptiveRules(TestBackend backend) {
        double[] g = {3, 4, 0.3, 0.4};
        Tensor rows = new Tensor(backend, Values.buffer(DType.FLOAT32, g));
        Tensor weights = new Tensor(backend, Values.buffer(DType.FLOAT32, 0, 0, 0, 0));
        try (GradientClipper clipper = backend.builder()
                .group("all")
                .add("kernel", rows.buffer())
                .rows(2)
                .weights(weights.buffer())
                .build()) {
            clipper.step(Update.sgd(1), ClipRule.perRowNorm(1).withEpsilon(0));
            assertArrayEquals(new double[] {-0.6, -0.8, -0.3, -0.4}, weights.doubles(), 1e-7);
            weights.set(3, 4, 3, 4);
            clipper.step(Update.sgd(1), ClipRule.adaptive(0.1));
            assertArrayEquals(new double[] {2.7, 3.6, 2.7, 3.6}, weights.doubles(), 1e-6);
            weights.set(0, 0, 0, 0);
            clipper.step(Update.sgd(1), ClipRule.perGroup(Map.of("all", ClipRule.value(0.35))));
            assertArrayEquals(new double[] {-0.35, -0.35, -0.3, -0.35}, weights.doubles(), 1e-7);
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void whatCannotBeUpdatedIsRefusedByName(TestBackend backend) {
        Tensor gradient = new Tensor(backend, Values.buffer(DType.FLOAT32, 3, 4));
        Tensor weights = new Tensor(backend, Values.buffer(DType.FLOAT32, 1, 1));
        try (GradientClipper none =
                backend.builder().add("kernel", gradient.buffer()).build()) {
            String said = assertThrows(
                            IllegalStateException.class, () -> none.step(Update.sgd(1), ClipRule.globalNorm(1)))
                    .getMessage();
            assertTrue(String.valueOf(said).contains("kernel has no weights"), said);
            assertThrows(IllegalStateException.class, () -> none.state().save(Path.of("nowhere")));
        }
        try (GradientClipper clipper = backend.builder()
                .add("kernel", gradient.buffer())
                .weights(weights.buffer())
                .build()) {
            clipper.step(Update.sgd(0.5), ClipRule.globalNorm(100));
            String said = assertThrows(
                            IllegalArgumentException.class, () -> clipper.step(Update.adam(1), ClipRule.globalNorm(1)))
                    .getMessage();
            assertTrue(String.valueOf(said).contains("state of sgd, which adam can't continue"), said);
            assertArrayEquals(new double[] {-0.5, -1}, weights.doubles());
        }
        Tensor doubles = new Tensor(backend, Values.buffer(DType.FLOAT64, 1, 1));
        try (GradientClipper clipper = backend.builder()
                .add("kernel", gradient.buffer())
                .weights(doubles.buffer())
                .build()) {
            String said = assertThrows(
                            IllegalArgumentException.class, () -> clipper.step(Update.sgd(1), ClipRule.globalNorm(1)))
                    .getMessage();
            assertTrue(String.valueOf(said).contains("kernel is FLOAT32 and its weights are FLOAT64"), said);
        }
    }

    @Test
    void numbersAreChecked() {
        for (double bad : new double[] {-1, Double.NaN, Double.POSITIVE_INFINITY}) {
            assertThrows(IllegalArgumentException.class, () -> Update.sgd(bad));
            assertThrows(IllegalArgumentException.class, () -> Update.adamW(bad));
            assertThrows(IllegalArgumentException.class, () -> Update.sgd(1).withMomentum(bad));
            assertThrows(IllegalArgumentException.class, () -> Update.adam(1).withEpsilon(bad));
            assertThrows(IllegalArgumentException.class, () -> Update.adam(1).withBetas(bad, 0.9));
        }
        assertThrows(IllegalArgumentException.class, () -> Update.adam(1).withBetas(0.9, 1));
        assertThrows(IllegalArgumentException.class, () -> Update.sgd(1).withNesterov());
        assertFalse(Update.adam(1).decoupled());
        assertTrue(Update.adamW(1).zeroingGradients().zeroesGradients());
        assertEquals(0.25, Update.sgd(1).withLearningRate(0.25).learningRate());
    }
}
