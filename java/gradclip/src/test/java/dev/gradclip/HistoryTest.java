// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.adapter.StepClipper;
import dev.gradclip.internal.jni.EmulatedCuda;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What becomes of histories: on all backends alike, saved, captured, over ranks, where a gradient is not finite. */
class HistoryTest {
    private static final double NONE = Double.POSITIVE_INFINITY;
    private static final int STEPS = 18;

    @TempDir
    private Path folder = Path.of("");

    static Stream<TestBackend> backends() {
        return TestBackend.all();
    }

    private static NormRule by(History history) {
        return ClipRule.globalNorm(NONE).withHistory(history);
    }

    /** Rules with short histories, so that a few steps fill and overwrite them, in every scope. */
    private static List<ClipRule> rules() {
        return List.of(
                by(new History.AutoClip(30, 5)),
                by(new History.AutoClip(50, 6)).withScope(Scope.GROUP).withNormType(NormType.L1),
                by(new History.Quantile(0.6, 4)).withScope(Scope.TENSOR),
                by(new History.Percentile(2, 5)).withScope(Scope.TENSOR).withMaxNorm(40),
                by(new History.Median(1.2, 4)).withNormType(NormType.INF),
                by(new History.Median(0.7, 50)),
                by(new History.ZClip(0.9, 0.5, 3)).withScope(Scope.TENSOR).withInverseScale(0.5),
                ClipRule.globalNorm(20).withHistory(new History.AdaGc(1.01, 0.8, 4)),
                ClipRule.globalNorm(20).withScope(Scope.TENSOR).withHistory(new History.AdaGc(1.01, 0.8, 4)),
                ClipRule.growthCap(),
                ClipRule.stabilize(),
                ClipRule.stabilize().withScope(Scope.ALL).withNormType(NormType.L1),
                ClipRule.skipAbove(60).withMaxNorm(30),
                ClipRule.laggedNorm(20),
                ClipRule.laggedNorm(20).withNormType(NormType.INF).withInverseScale(0.5),
                by(new History.SkipSpikes(1, 6, 3)),
                ClipRule.perGroup(Map.of(
                        "first", by(new History.AutoClip(20, 3)),
                        "second", by(new History.GrowthCap(1.05, 0)).withScope(Scope.TENSOR))),
                ClipRule.perGroup(Map.of("second", by(new History.Percentile(1, 3)), "first", ClipRule.perRowNorm(2))));
    }

    /** Tensors of several types, one of more rows than a warp folds at once, and one that is absent now and then. */
    private static final class Model implements AutoCloseable {
        private static final DType[] TYPES = {DType.FLOAT32, DType.BFLOAT16, DType.FLOAT64, DType.FLOAT16};
        private final int[] lengths;

        final List<@Nullable HostBuffer> now = new ArrayList<>();
        final List<ClipEvent> heard = new ArrayList<>();
        final GradientClipper clipper;
        private final TestBackend backend;
        private final Random random = new Random(7);

        Model(TestBackend backend) {
            this(backend, "t1", 20);
        }

        /** With so many rows: more than 1024 are folded in another way on a device. */
        Model(TestBackend backend, String second, int rows) {
            this.backend = backend;
            lengths = new int[] {600, 70, 2 * rows, 9};
            draw(0);
            clipper = backend.builder()
                    .listener(heard::add)
                    .group("first")
                    .add("t0", place(0))
                    .add(second, place(1))
                    .group("second")
                    .add("t2", place(2))
                    .rows(rows)
                    .add("t3", place(3))
                    .build();
        }

        private GradientBuffer place(int tensor) {
            return backend.place(Objects.requireNonNull(now.get(tensor)));
        }

        private void draw(int step) {
            now.clear();
            double scale = step % 9 == 8 ? 5 : 1 + 0.2 * random.nextDouble();
            for (int i = 0; i < TYPES.length; i++) {
                double[] values = new double[lengths[i]];
                for (int k = 0; k < values.length; k++) values[k] = scale * random.nextGaussian();
                if (step == 10 && i == 2) values[17] = Double.NaN;
                now.add(i == 3 && step % 4 == 3 ? null : Values.buffer(TYPES[i], values));
            }
        }

        void next(int step) {
            draw(step);
            clipper.rebind(backend.place(now));
        }

        ClipResult clip(ClipRule rule, int step) {
            next(step);
            return clipper.clip(rule);
        }

        long[][] bits() {
            return now.stream()
                    .map(buffer -> buffer == null ? new long[0] : Values.bits(buffer))
                    .toArray(long[][]::new);
        }

        @Override
        public void close() {
            clipper.close();
        }
    }

    private static void assertSame(Model expected, Model actual, String what) {
        long[][] want = expected.bits();
        long[][] got = actual.bits();
        for (int i = 0; i < want.length; i++) assertArrayEquals(want[i], got[i], what + ", tensor " + i);
    }

    private static TestBackend plainJava() {
        return TestBackend.all().findFirst().orElseThrow();
    }

    @ParameterizedTest
    @MethodSource("backends")
    void everyBackendHasTheBitsOfPlainJava(TestBackend backend) {
        for (ClipRule rule : rules()) {
            for (NonFinitePolicy policy : List.of(NonFinitePolicy.PROPAGATE, NonFinitePolicy.ZERO)) {
                ClipRule each = rule.withNonFinitePolicy(policy);
                try (Model one = new Model(plainJava(), "t1", 1030);
                        Model other = new Model(backend, "t1", 1030)) {
                    for (int step = 0; step < STEPS; step++) {
                        ClipResult expected = one.clip(each, step);
                        ClipResult actual = other.clip(each, step);
                        String what = each + ", step " + step;
                        assertEquals(expected.toString(), actual.toString(), what);
                        assertEquals(expected.skipped(), actual.skipped(), what);
                        assertSame(one, other, what);
                    }
                    assertArrayEquals(
                            one.clipper.history(each).toBytes(),
                            other.clipper.history(each).toBytes(),
                            each::toString);
                    for (int i = 0; i < STEPS; i++) {
                        assertEquals(
                                one.heard.get(i).threshold(), other.heard.get(i).threshold(), each + ", step " + i);
                    }
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void whereAGradientIsNotFiniteNothingMoves(TestBackend backend) {
        for (ClipRule rule : rules()) {
            for (NonFinitePolicy policy : NonFinitePolicy.values()) {
                ClipRule each = rule.withNonFinitePolicy(policy);
                try (Model model = new Model(backend)) {
                    for (int step = 0; step < 10; step++) model.clip(each, step);
                    byte[] before = model.clipper.history(each).toBytes();
                    if (policy == NonFinitePolicy.ERROR) {
                        assertThrows(NonFiniteGradientException.class, () -> model.clip(each, 10));
                    } else {
                        ClipResult result = model.clip(each, 10);
                        assertTrue(result.nonFinite());
                        // A history may skip the step as well.
                        if (policy == NonFinitePolicy.SKIP) assertTrue(result.skipped());
                    }
                    assertArrayEquals(before, model.clipper.history(each).toBytes(), each::toString);
                    model.clip(each, 11);
                    assertFalse(
                            Arrays.equals(before, model.clipper.history(each).toBytes()), each::toString);
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void aRestartGoesOnToTheBit(TestBackend backend) throws IOException {
        Path file = folder.resolve("history.safetensors");
        for (ClipRule rule : rules()) {
            try (Model whole = new Model(backend);
                    Model first = new Model(backend);
                    Model second = new Model(backend)) {
                for (int step = 0; step < 15; step++) {
                    whole.clip(rule, step);
                    if (step < 7) first.clip(rule, step);
                    if (step == 7) {
                        first.clipper.history(rule).save(file);
                        second.clipper.history(rule).load(file);
                    }
                    if (step < 7) second.draw(step);
                    else
                        assertEquals(
                                whole.heard.get(step).coefficient(),
                                second.clip(rule, step).coefficient());
                    if (step >= 7) assertSame(whole, second, rule + ", step " + step);
                }
            }
        }
    }

    @Test
    void whatDoesNotFitIsRefusedByName() throws IOException {
        ClipRule rule = by(new History.Quantile(0.6, 4)).withScope(Scope.TENSOR);
        try (Model saved = new Model(plainJava());
                Model other = new Model(plainJava(), "renamed", 20)) {
            for (int step = 0; step < 5; step++) saved.clip(rule, step);
            byte[] bytes = saved.clipper.history(rule).toBytes();
            RuleHistory loading = other.clipper.history(rule);
            byte[] before = loading.toBytes();
            assertRefused("renamed", () -> loading.load(bytes));
            assertArrayEquals(before, loading.toBytes());
            ClipRule longer = by(new History.Quantile(0.6, 5)).withScope(Scope.TENSOR);
            assertRefused("t0", () -> saved.clipper.history(longer).load(bytes));
            ClipRule another = by(new History.Quantile(0.5, 4)).withScope(Scope.TENSOR);
            assertRefused("t0", () -> saved.clipper.history(another).load(bytes));
            ClipRule global = by(new History.Quantile(0.6, 4));
            assertRefused("all tensors", () -> saved.clipper.history(global).load(bytes));
            assertRefused("has no history", () -> saved.clipper.history(ClipRule.globalNorm(1)));
            for (int end : new int[] {0, 5, 40, bytes.length - 1}) {
                assertThrows(IOException.class, () -> loading.load(Arrays.copyOf(bytes, end)));
            }
            Path file = folder.resolve("none.safetensors");
            assertThrows(IOException.class, () -> loading.load(file));
            Files.write(file, new byte[100]);
            assertThrows(IOException.class, () -> loading.load(file));
            assertArrayEquals(before, loading.toBytes());
            assertEquals(5, saved.clipper.history(rule).steps());
            assertTrue(saved.clipper.history(rule).threshold("t0") > 0);
            assertRefused("'t9'", () -> saved.clipper.history(rule).threshold("t9"));
            assertRefused("'all tensors'", () -> saved.clipper.history(rule).threshold());
        }
    }

    /** A block that does not hold together would lead a step beyond its memory. */
    @Test
    void aDamagedHistoryIsRefused() {
        List<History> histories = List.of(
                new History.AutoClip(30, 5),
                new History.Quantile(0.5, 5),
                new History.Percentile(2, 5),
                new History.Median(2, 5),
                new History.ZClip(0.9, 2, 3),
                new History.SkipSpikes(6, 5, 3));
        for (History history : histories) {
            ClipRule rule = by(history);
            try (GradientClipper clipper = GradientClipper.of(new float[] {3, 4})) {
                for (int step = 0; step < 4; step++) clipper.clip(rule);
                byte[] bytes = clipper.history(rule).toBytes();
                int blocks = bytes.length / 8 - 20;
                Random random = new Random(1);
                for (int i = 0; i < 200; i++) {
                    byte[] damaged = bytes.clone();
                    int at = bytes.length - 8 * (1 + random.nextInt(Math.max(1, blocks)));
                    double other =
                            List.of(Double.NaN, -1.0, NONE, 1e300, 2.5, 7.0).get(random.nextInt(6));
                    ByteBuffer.wrap(damaged).order(ByteOrder.LITTLE_ENDIAN).putDouble(at, other);
                    try {
                        clipper.history(rule).load(damaged);
                    } catch (IllegalArgumentException | IOException e) {
                        continue;
                    }
                    for (int step = 0; step < 12; step++) clipper.clip(rule);
                }
                byte[] unsorted = bytes.clone();
                ByteBuffer.wrap(unsorted).order(ByteOrder.LITTLE_ENDIAN).putDouble(bytes.length - 8, -1);
                assertRefused("all tensors", () -> clipper.history(rule).load(unsorted));
            }
        }
    }

    /** Before its first finite step a rule has its fixed limit at least. */
    @ParameterizedTest
    @MethodSource("backends")
    void theFixedLimitHoldsFromTheStart(TestBackend backend) {
        HostBuffer gradient = HostBuffer.wrap(new float[] {3, Float.POSITIVE_INFINITY});
        try (GradientClipper clipper = backend.clipper(gradient)) {
            assertEquals(0, clipper.clip(ClipRule.zClip()).coefficient());
            assertEquals(0, Values.read(gradient)[0]);
        }
    }

    private interface Refused {
        void run() throws IOException;
    }

    private static void assertRefused(String word, Refused call) {
        String message = String.valueOf(
                assertThrows(IllegalArgumentException.class, call::run).getMessage());
        assertTrue(message.contains(word), message);
    }

    @Test
    void numbersAndScopesAreChecked() {
        assertRefused("percentile", () -> ClipRule.autoClip(101));
        assertRefused("percentile", () -> ClipRule.autoClip(Double.NaN));
        assertRefused("window", () -> new History.Quantile(0.5, 0));
        assertRefused("rank", () -> new History.Percentile(5, 5));
        assertRefused("factor", () -> new History.Median(0, 5));
        assertRefused("zMax", () -> new History.ZClip(0.9, NONE, 5));
        assertRefused("beta", () -> new History.AdaGc(1, 1.1, 5));
        assertRefused("floor", () -> new History.GrowthCap(1, -1));
        assertRefused("beta2", () -> new History.Stabilizer(0.5, 1));
        assertRefused("norm", () -> ClipRule.skipAbove(-1));
        assertRefused("least", () -> new History.SkipSpikes(6, 8, 10));
        assertRefused("rows have no history", () -> ClipRule.autoClip().withScope(Scope.ROW));
        assertRefused("skips a step as a whole", () -> ClipRule.skipSpikes().withScope(Scope.TENSOR));
        assertRefused("CLIP", () -> ClipRule.normalize(1).withHistory(new History.AutoClip(1, 1)));
        assertRefused("NORMALIZE", () -> by(new History.Stabilizer(0.5, 0.5)));
        assertRefused("lagged takes the scope ALL", () -> ClipRule.laggedNorm(1).withScope(Scope.TENSOR));
        assertRefused("skips steps", () -> ClipRule.perGroup(Map.of("a", ClipRule.skipAbove(1))));
        assertEquals("auto-clip", ClipRule.autoClip().name());
        assertEquals("z-clip", ClipRule.zClip().name());
    }

    /** A loss scaler changes the inverse scale, a schedule the fixed limit: neither is another rule's history. */
    @ParameterizedTest
    @MethodSource("backends")
    void theHistoryGoesOnUnderAnotherScaleAndLimit(TestBackend backend) {
        try (Model model = new Model(backend)) {
            for (int step = 0; step < 8; step++) {
                NormRule rule = by(new History.AutoClip(30, 5)).withMaxNorm(1000 - step);
                model.clip(rule.withInverseScale(1.0 / (1 << step)), step);
            }
            assertEquals(
                    8, model.clipper.history(by(new History.AutoClip(30, 5))).steps());
            assertEquals(
                    0, model.clipper.history(by(new History.AutoClip(30, 6))).steps());
        }
    }

    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("dev.gradclip.TestBackend#onDevices")
    void aGraphReplaysIt(TestBackend backend) {
        for (ClipRule rule : rules()) {
            try (Model direct = new Model(backend);
                    Model replayed = new Model(backend);
                    CudaStream stream = CudaStream.create()) {
                direct.clip(rule, 0);
                replayed.clip(rule, 0);
                CapturedClip[] clip = new CapturedClip[1];
                try (CudaGraph graph = CudaGraph.capture(
                        stream, () -> clip[0] = replayed.clipper.prepare(rule).capture(stream))) {
                    // The first rule overwrites its history twenty times.
                    int replays = rule.equals(rules().get(0)) ? 100 : 12;
                    for (int i = 0; i < replays; i++) {
                        ClipResult expected = direct.clipper.clip(rule);
                        graph.launch(stream);
                        stream.synchronize();
                        ClipResult actual = clip[0].latest();
                        assertEquals(expected.toString(), actual.toString(), rule + ", replay " + i);
                        assertEquals(expected.skipped(), actual.skipped());
                    }
                    assertSame(direct, replayed, rule.toString());
                    assertArrayEquals(
                            direct.clipper.history(rule).toBytes(),
                            replayed.clipper.history(rule).toBytes());
                    assertRefused("only numbers", () -> clip[0].setRule(by(new History.AutoClip(31, 5)), stream));
                } finally {
                    clip[0].close();
                }
            }
        }
    }

    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("dev.gradclip.TestBackend#onDevices")
    void aStepTakesThreeLaunchesAndNothingElse(TestBackend backend) {
        if (!EmulatedCuda.isLoaded()) return;
        for (ClipRule rule : rules()) {
            try (Model model = new Model(backend)) {
                PreparedClip clip = model.clipper.prepare(rule);
                clip.run();
                EmulatedCuda.counters();
                clip.runAsync(CudaStream.DEFAULT);
                EmulatedCuda.Counters found = EmulatedCuda.counters();
                assertTrue(found.launches() <= 3, () -> found + " for " + rule);
                assertEquals(0, found.copiesToDevice() + found.copiesToHost(), () -> found + " for " + rule);
                assertEquals(0, found.allocations() + found.synchronisations(), () -> found + " for " + rule);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void aSkippedStepMovesNothing(TestBackend backend) {
        HostBuffer weights = HostBuffer.wrap(new float[] {1, 2, 3});
        List<ClipEvent> heard = new ArrayList<>();
        ClipRule rule = ClipRule.skipAbove(10).withMaxNorm(1);
        try (GradientClipper clipper = backend.builder()
                .listener(heard::add)
                .add("w", backend.place(HostBuffer.wrap(new float[] {3, 0, 4})))
                .weights(backend.place(weights))
                .build()) {
            ClipResult moved = clipper.step(Update.adamW(0.1), rule);
            assertFalse(moved.skipped());
            assertEquals(5, moved.globalNorm(), 1e-6);
            long[] before = Values.bits(weights);
            assertEquals(1, clipper.state().steps());
            HostBuffer spike = HostBuffer.wrap(new float[] {30, 0, 40});
            clipper.rebind(List.of(backend.place(spike)));
            long[] spiked = Values.bits(spike);
            ClipResult skipped = clipper.step(Update.adamW(0.1), rule);
            assertTrue(skipped.skipped());
            assertFalse(skipped.clipped());
            assertFalse(skipped.nonFinite());
            assertEquals(50, skipped.globalNorm(), 1e-5);
            assertEquals(1, skipped.coefficient());
            assertArrayEquals(before, Values.bits(weights));
            assertArrayEquals(spiked, Values.bits(spike));
            assertEquals(1, clipper.state().steps());
            if (backend.onDevice()) assertEquals(1, flag(clipper));
            assertTrue(clipper.decide(ClipRule.skipAbove(10)).skipped());
            assertFalse(clipper.clip(ClipRule.skipAbove(60)).skipped());
            if (backend.onDevice()) assertEquals(0, flag(clipper));
            assertEquals(
                    List.of(false, true, true, false),
                    heard.stream().map(ClipEvent::skipped).toList());
            assertEquals(10, heard.get(1).threshold());
        }
    }

    private static float flag(GradientClipper clipper) {
        float[] found = new float[1];
        DeviceBuffer.wrap(clipper.skipAddress(), 1, DType.FLOAT32, clipper).copyTo(found);
        return found[0];
    }

    @ParameterizedTest
    @MethodSource("backends")
    void ranksHaveTheHistoryOfOneProcess(TestBackend backend) {
        List<ClipRule> rules = List.of(
                by(new History.AutoClip(30, 3)),
                ClipRule.globalNorm(20).withScope(Scope.TENSOR).withHistory(new History.AdaGc(1.01, 0.8, 1)),
                by(new History.SkipSpikes(1, 3, 3)));
        for (int seed = 0; seed < rules.size(); seed++) {
            Random random = new Random(seed);
            ClipRule rule = rules.get(seed);
            try (Ranks ranks = new Ranks(backend, RanksTest.tensors(random, 0), 3, random)) {
                for (int step = 0; step < 5; step++) {
                    ClipResult expected = ranks.whole.clip(rule);
                    for (ClipResult result : ranks.clip(rule)) {
                        assertEquals(expected.coefficient(), result.coefficient(), rule + ", step " + step);
                        assertEquals(expected.skipped(), result.skipped());
                    }
                    List<long[]> want = ranks.wholeBits();
                    List<long[]> got = ranks.bits();
                    for (int i = 0; i < want.size(); i++) assertArrayEquals(want.get(i), got.get(i), rule + ", t" + i);
                }
                byte[] whole = ranks.whole.history(rule).toBytes();
                for (GradientClipper clipper : ranks.clippers) {
                    assertArrayEquals(whole, clipper.history(rule).toBytes());
                }
            }
        }
    }

    /** An adapter makes its clipper anew where a tensor changes. */
    @Test
    void anotherClipperOfTheSameNamesGoesOn() {
        ClipRule all = by(new History.AutoClip(30, 5));
        ClipRule each = by(new History.Quantile(0.5, 5)).withScope(Scope.TENSOR);
        try (StepClipper clippers = new StepClipper()) {
            for (int step = 1; step <= 6; step++) {
                float[] a = {3 * step, 4 * step};
                float[] b = new float[step <= 3 ? 2 : 5];
                Arrays.fill(b, step);
                List<String> names = step == 6 ? List.of("a", "c") : List.of("a", "b");
                GradientClipper now = clippers.bind(names, List.of(HostBuffer.wrap(a), HostBuffer.wrap(b)));
                now.clip(all);
                now.clip(each);
                assertEquals(step, now.history(all).steps());
                assertEquals(step, now.history(each).steps());
                if (step == 6) assertEquals(NONE, now.history(each).threshold("c"));
                else if (step > 1) assertNotEquals(NONE, now.history(each).threshold("b"));
            }
        }
    }

    @Test
    void aStreamingClipGoesOnFromAFile() throws IOException {
        Path file = folder.resolve("stream.safetensors");
        ClipRule rule = by(new History.Quantile(0.5, 5)).withScope(Scope.TENSOR);
        try (GradientClipper clipper = GradientClipper.builder()
                .add("a", HostBuffer.wrap(new float[2]))
                .build()) {
            for (int step = 1; step <= 5; step++) {
                float[] whole = {3 * step, 4 * step};
                float[] streamed = whole.clone();
                clipper.rebind(List.of(HostBuffer.wrap(whole)));
                double coefficient = clipper.clip(rule).tensorCoefficient(0);
                try (StreamingClip clip = StreamingClip.of(rule, Backend.JAVA, 1)) {
                    if (step > 1) clip.loadHistory(file);
                    clip.measure(HostBuffer.wrap(streamed));
                    clip.endTensor("a");
                    clip.decide();
                    clip.apply(0, HostBuffer.wrap(streamed));
                    clip.saveHistory(file);
                    assertEquals(coefficient, clip.tensorCoefficient(0));
                }
                assertArrayEquals(whole, streamed);
            }
            assertArrayEquals(clipper.history(rule).toBytes(), Files.readAllBytes(file));
            try (StreamingClip other = StreamingClip.of(rule, Backend.JAVA, 1)) {
                other.loadHistory(file);
                other.measure(HostBuffer.wrap(new float[] {1}));
                other.endTensor("b");
                assertRefused("history of b", other::decide);
            }
        }
    }
}
