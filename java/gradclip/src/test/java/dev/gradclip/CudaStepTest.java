// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.gradclip.internal.jni.EmulatedCuda;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

/** Updates on the emulated device: what they cost there, and the bits of plain Java. */
class CudaStepTest {
    private static final TestBackend CUDA = new TestBackend(Backend.CUDA, 3, "cuda-emulated");
    private static final TestBackend JAVA = new TestBackend(Backend.JAVA, -1, "java");
    private static final List<Update> UPDATES = List.of(
            Update.sgd(0.1),
            Update.sgd(0.1).withMomentum(0.9).withWeightDecay(0.01).zeroingGradients(),
            Update.adamW(0.01),
            Update.adam(0.001).withMasterWeights());

    @TempDir
    private Path folder = Path.of("");

    @BeforeEach
    void needsTheEmulator() {
        assumeTrue(EmulatedCuda.isLoaded(), "the emulated device is not built");
    }

    /** Tensors with the groups that every rule names, rows, and weights of each type that goes with the gradient's. */
    private static final class Model implements AutoCloseable {
        private final TestBackend backend;
        private final List<HostBuffer> weights = new ArrayList<>();
        private final List<DType> dtypes = new ArrayList<>();
        private final GradientClipperBuilder builder;
        private List<@Nullable HostBuffer> gradients = new ArrayList<>();
        final GradientClipper clipper;

        Model(TestBackend backend) {
            this.backend = backend;
            builder = backend.builder();
            add(DType.FLOAT32, 100, 1, DType.FLOAT32);
            builder.group("first");
            add(DType.FLOAT32, 231, 33, DType.FLOAT16);
            add(DType.FLOAT64, 3000, 2, DType.FLOAT64);
            builder.group("empty");
            builder.group("second");
            add(DType.FLOAT16, 5000, 1, DType.FLOAT32);
            add(DType.BFLOAT16, 12, 4, DType.FLOAT32);
            builder.group("third");
            add(DType.FLOAT32, 2050, 1025, DType.BFLOAT16);
            add(DType.BFLOAT16, 8192, 2, DType.BFLOAT16);
            add(DType.FLOAT32, 4096, 1, DType.FLOAT32);
            add(DType.FLOAT16, 4096, 1, DType.BFLOAT16);
            clipper = builder.build();
        }

        private void add(DType dtype, int length, int rows, DType weightsType) {
            int tensor = weights.size();
            dtypes.add(dtype);
            weights.add(Values.buffer(weightsType, Values.normal(tensor, length, 1)));
            builder.declare("tensor " + tensor, dtype, length).rows(rows).weights(backend.place(weights.get(tensor)));
        }

        /** Binds new gradients, one of them absent where it says so, one with a NaN. */
        void bind(int step, int absent, int bad) {
            gradients = new ArrayList<>();
            for (int i = 0; i < weights.size(); i++) gradients.add(i == absent ? null : gradient(i, step, bad));
            clipper.rebind(backend.place(gradients));
        }

        private HostBuffer gradient(int i, int step, int bad) {
            double[] g = Values.normal(1000L * step + i, (int) weights.get(i).length(), 2);
            if (i == bad) g[g.length / 2] = Double.NaN;
            return Values.buffer(dtypes.get(i), g);
        }

        /** Writes new gradients where those lie on the device that were bound last. */
        void fill(int step, int bad) {
            for (int i = 0; i < weights.size(); i++) {
                Placed.onDevice(Objects.requireNonNull(gradients.get(i))).copyFrom(gradient(i, step, bad));
            }
        }

        List<long[]> bits() {
            List<long[]> bits = new ArrayList<>();
            for (HostBuffer each : weights) bits.add(Values.bits(each));
            for (HostBuffer each : gradients) if (each != null) bits.add(Values.bits(each));
            return bits;
        }

        @Override
        public void close() {
            clipper.close();
        }
    }

    private static void assertSame(Model java, Model cuda, Object what) {
        List<long[]> want = java.bits();
        List<long[]> found = cuda.bits();
        for (int i = 0; i < want.size(); i++) {
            int at = i;
            assertArrayEquals(want.get(i), found.get(i), () -> what + ", buffer " + at);
        }
        for (String name : java.clipper.names()) {
            assertEquals(java.clipper.state().steps(name), cuda.clipper.state().steps(name), () -> name + ", " + what);
        }
    }

    private static void assertSame(ClipResult java, ClipResult cuda, Object what) {
        assertEquals(java.globalNorm(), cuda.globalNorm(), what::toString);
        assertEquals(java.coefficient(), cuda.coefficient(), what::toString);
        assertEquals(java.clippedNorm(), cuda.clippedNorm(), what::toString);
        assertEquals(java.clipped(), cuda.clipped(), what::toString);
        assertEquals(java.nonFinite(), cuda.nonFinite(), what::toString);
        assertEquals(java.elementsChanged(), cuda.elementsChanged(), what::toString);
        assertEquals(java.tensors(), cuda.tensors(), what::toString);
    }

    /** One model goes through steps by every rule and policy; some gradients are absent, some not finite. */
    @Test
    void everyRuleAndPolicyHasTheBitsOfPlainJava() {
        for (Update update : UPDATES) {
            try (Model java = new Model(JAVA);
                    Model cuda = new Model(CUDA)) {
                int step = 0;
                for (ClipRule rule : EveryRule.all()) {
                    NonFinitePolicy policy = NonFinitePolicy.values()[step % 4];
                    ClipRule each = rule.withNonFinitePolicy(policy).withInverseScale(step % 3 == 0 ? 0.5 : 1);
                    int absent = step % 5 == 1 ? step % 9 : -1;
                    int bad = policy != NonFinitePolicy.PROPAGATE && step % 8 > 4 ? 6 : -1;
                    java.bind(step, absent, bad);
                    cuda.bind(step, absent, bad);
                    String what = "step " + step + ", " + update + ", " + each;
                    if (bad >= 0 && bad != absent && policy == NonFinitePolicy.ERROR) {
                        NonFiniteGradientException want =
                                assertThrows(NonFiniteGradientException.class, () -> java.clipper.step(update, each));
                        NonFiniteGradientException found = assertThrows(
                                NonFiniteGradientException.class, () -> cuda.clipper.step(update, each), what);
                        assertEquals(want.tensor(), found.tensor());
                    } else {
                        assertSame(java.clipper.step(update, each), cuda.clipper.step(update, each), what);
                    }
                    assertSame(java, cuda, what);
                    step++;
                }
            }
        }
    }

    @Test
    void aHundredStepsThatAreOnlyEnqueued() {
        ClipRule rule = ClipRule.globalNorm(1).withNonFinitePolicy(NonFinitePolicy.SKIP);
        for (Update update : UPDATES) {
            try (Model java = new Model(JAVA);
                    Model cuda = new Model(CUDA);
                    CudaStream stream = CudaStream.create()) {
                for (int step = 0; step < 100; step++) {
                    int bad = step % 10 == 9 ? 2 : -1;
                    java.bind(step, step % 7, bad);
                    cuda.bind(step, step % 7, bad);
                    Update now = update.withLearningRate(0.1 / (1 + step));
                    java.clipper.step(now, rule);
                    cuda.clipper.stepAsync(now, rule, step % 2 == 0 ? stream : CudaStream.DEFAULT);
                }
                stream.synchronize();
                CudaStream.DEFAULT.synchronize();
                assertSame(java, cuda, update);
                assertTrue(cuda.clipper.state().steps() < 100);
            }
        }
    }

    private static void assertCosts(int launches, int waits, Object what) {
        EmulatedCuda.Counters found = EmulatedCuda.counters();
        assertTrue(found.launches() <= launches, () -> found + " for " + what);
        assertEquals(0, found.allocations(), () -> found + " for " + what);
        assertEquals(0, found.copiesToDevice(), () -> found + " for " + what);
        assertEquals(0, found.copiesToHost(), () -> found + " for " + what);
        assertTrue(found.synchronisations() <= waits, () -> found + " for " + what);
    }

    @Test
    void threeLaunchesAndNothingElse() {
        for (Update update : UPDATES) {
            try (Model cuda = new Model(CUDA)) {
                cuda.bind(1, -1, -1);
                for (ClipRule rule : EveryRule.all()) {
                    for (NonFinitePolicy policy : NonFinitePolicy.values()) {
                        ClipRule each = rule.withNonFinitePolicy(policy);
                        cuda.clipper.step(update, each);
                        EmulatedCuda.counters();
                        cuda.clipper.stepAsync(update, each, CudaStream.DEFAULT);
                        assertCosts(3, 0, each);
                        cuda.clipper.step(update, each);
                        assertCosts(3, 1, each);
                    }
                }
                EmulatedCuda.counters();
                cuda.clipper.stepAsync(update, ClipRule.value(1), CudaStream.DEFAULT);
                assertCosts(1, 0, "a value rule that looks for nothing first");
            }
        }
    }

    /** The first step allocates its state once, whatever the number of tensors. */
    @Test
    void tenThousandTensorsCostWhatOneCosts() {
        for (int count : new int[] {1, 10_000}) {
            EmulatedCuda.reset(3);
            try (DeviceBuffer memory = DeviceBuffer.allocate(DType.FLOAT32, 74L * count)) {
                float[] ones = new float[74 * count];
                Arrays.fill(ones, 1);
                memory.copyFrom(ones);
                GradientClipperBuilder builder = GradientClipper.builder();
                for (int i = 0; i < count; i++) {
                    long address = memory.address() + 74L * 4 * i;
                    builder.add(DeviceBuffer.wrap(address, 37, DType.FLOAT32, memory))
                            .weights(DeviceBuffer.wrap(address + 37 * 4, 37, DType.FLOAT32, memory));
                }
                try (GradientClipper clipper = builder.build()) {
                    Update update = Update.adam(0.1);
                    EmulatedCuda.counters();
                    clipper.step(update, ClipRule.globalNorm(1));
                    assertEquals(1, EmulatedCuda.counters().allocations());
                    for (int i = 0; i < 3; i++) {
                        clipper.stepAsync(update, ClipRule.globalNorm(1), CudaStream.DEFAULT);
                        assertCosts(3, 0, count);
                    }
                    assertEquals(4, clipper.state().steps());
                    assertTrue(EmulatedCuda.counters().copiesToHost() <= 1);
                }
            }
        }
    }

    /** A state that either backend has saved goes on to the bit on the other. */
    @Test
    void stateGoesFromOneBackendToTheOther() throws IOException {
        ClipRule rule = ClipRule.globalNorm(1);
        Path file = folder.resolve("state.safetensors");
        for (Update update : UPDATES) {
            for (List<TestBackend> way : List.of(List.of(JAVA, CUDA), List.of(CUDA, JAVA))) {
                try (Model whole = new Model(way.get(0));
                        Model rest = new Model(way.get(1))) {
                    for (int step = 0; step < 4; step++) {
                        whole.bind(step, step, -1);
                        whole.clipper.step(update, rule);
                        if (step < 2) continue;
                        // What it is given last counts.
                        whole.clipper.state().save(file);
                        rest.clipper.state().load(file);
                    }
                    for (int i = 0; i < whole.weights.size(); i++) {
                        HostBuffer weights = whole.weights.get(i);
                        rest.weights.set(i, Values.buffer(weights.dtype(), Values.read(weights)));
                    }
                    rest.clipper.rebindWeights(rest.backend.place(rest.weights));
                    for (int step = 4; step < 8; step++) {
                        whole.bind(step, -1, -1);
                        rest.bind(step, -1, -1);
                        whole.clipper.step(update, rule);
                        rest.clipper.step(update, rule);
                    }
                    assertSame(whole, rest, way + " " + update);
                }
            }
        }
    }

    @Test
    void aStreamMayBeClosedBeforeTheStateIsRead() {
        try (Model cuda = new Model(CUDA)) {
            cuda.bind(1, -1, -1);
            try (CudaStream stream = CudaStream.create()) {
                cuda.clipper.stepAsync(Update.sgd(0.1), ClipRule.globalNorm(1), stream);
            }
            assertEquals(1, cuda.clipper.state().steps());
        }
    }

    /** A model's step in a graph. */
    private static final class Captured implements AutoCloseable {
        final Model cuda = new Model(CUDA);
        final CudaStream stream = CudaStream.create();
        final CapturedStep step;
        final CudaGraph graph;

        Captured(Update update, ClipRule rule) {
            cuda.bind(0, -1, -1);
            PreparedStep prepared = cuda.clipper.prepare(update, rule);
            // What was rebound, and the parts of a rule for groups, are uploaded by an uncaptured call.
            cuda.clipper.clip(rule);
            List<CapturedStep> captured = new ArrayList<>();
            graph = CudaGraph.capture(stream, () -> captured.add(prepared.capture(stream)));
            step = captured.get(0);
        }

        void launch(int number, int bad) {
            cuda.fill(number, bad);
            EmulatedCuda.counters();
            graph.launch(stream);
            assertCosts(3, 0, step.update());
            stream.synchronize();
        }

        @Override
        public void close() {
            graph.close();
            step.close();
            cuda.close();
            stream.close();
        }
    }

    /** Nothing moves at a launch that meets a NaN, and it counts no step. */
    @Test
    void aHundredLaunchesOfACapturedStepHaveTheBitsOfAHundredSteps() {
        List<ClipRule> rules = List.of(
                ClipRule.value(0.5),
                ClipRule.globalNorm(1),
                ClipRule.perGroup(Map.of("first", ClipRule.globalNorm(1), "second", ClipRule.globalNorm(2))));
        for (int i = 0; i < UPDATES.size(); i++) {
            Update update = UPDATES.get(i);
            ClipRule rule = rules.get(i % rules.size())
                    .withNonFinitePolicy(NonFinitePolicy.SKIP)
                    .withInverseScale(0.5);
            try (Model java = new Model(JAVA);
                    Captured captured = new Captured(update, rule)) {
                Update now = update;
                for (int step = 0; step < 100; step++) {
                    if (step == 50) {
                        now = update.withLearningRate(0.001);
                        captured.step.setUpdate(now, captured.stream);
                        assertEquals(now, captured.step.update());
                    }
                    int bad = step % 10 == 9 ? 2 : -1;
                    java.bind(step, -1, bad);
                    captured.launch(step, bad);
                    ClipResult want = java.clipper.step(now, rule);
                    ClipResult found = captured.step.latest();
                    assertEquals(want.globalNorm(), found.globalNorm());
                    assertEquals(want.nonFinite(), found.nonFinite());
                    assertEquals(want.elementsChanged(), found.elementsChanged());
                }
                assertSame(java, captured.cuda, update + " " + rule);
                assertEquals(100, captured.step.replays());
                assertEquals(90, captured.cuda.clipper.state().steps());
            }
        }
    }

    /** The limits of the rule and the numbers of the update are set apart from each other. */
    @Test
    void aCapturedStepTakesAnotherRuleAndKeepsItsUpdate() {
        for (ClipRule rule : List.of(ClipRule.globalNorm(1), ClipRule.value(0.5))) {
            ClipRule next = rule instanceof NormRule ? ClipRule.globalNorm(0.25) : ClipRule.value(-1, 0.125);
            try (Model java = new Model(JAVA);
                    Captured captured = new Captured(UPDATES.get(2), rule)) {
                for (int step = 0; step < 3; step++) {
                    ClipRule now = step == 0 ? rule : next.withInverseScale(1 / (1.0 + step));
                    if (step > 0) captured.step.setRule(now, captured.stream);
                    java.bind(step, -1, -1);
                    captured.launch(step, -1);
                    java.clipper.step(UPDATES.get(2), now);
                }
                assertSame(java, captured.cuda, rule);
            }
        }
    }

    /** The state of launches is saved, and launches go on with a state that was loaded meanwhile. */
    @Test
    void launchesGoOnFromAStateThatWasLoaded() throws IOException {
        ClipRule rule = ClipRule.globalNorm(1);
        Path file = folder.resolve("state.safetensors");
        for (Update update : UPDATES) {
            try (Model java = new Model(JAVA);
                    Captured captured = new Captured(update, rule)) {
                for (int step = 0; step < 3; step++) {
                    java.bind(step, -1, -1);
                    java.clipper.step(update, rule);
                    captured.launch(step, -1);
                }
                captured.cuda.clipper.state().save(file);
                for (int step = 3; step < 5; step++) captured.launch(step, -1);
                captured.cuda.clipper.state().load(file);
                for (int i = 0; i < java.weights.size(); i++) {
                    Placed.onDevice(captured.cuda.weights.get(i)).copyFrom(java.weights.get(i));
                }
                java.bind(5, -1, -1);
                java.clipper.step(update, rule);
                captured.launch(5, -1);
                assertSame(java, captured.cuda, update);
            }
        }
    }

    private static void assertRefused(Class<? extends Exception> type, String reason, Executable call) {
        String message = String.valueOf(assertThrows(type, call).getMessage());
        assertTrue(message.contains(reason) && !message.contains(" clip "), message);
    }

    @Test
    void refusalsSpeakOfSteps() {
        try (Captured captured = new Captured(Update.sgd(0.1), ClipRule.globalNorm(1))) {
            GradientClipper clipper = captured.cuda.clipper;
            CudaStream stream = captured.stream;
            List<long[]> before = captured.cuda.bits();
            PreparedStep prepared = clipper.prepare(Update.sgd(0.1), ClipRule.globalNorm(1));
            assertRefused(
                    IllegalArgumentException.class,
                    "other update",
                    () -> clipper.prepare(Update.adam(0.1), ClipRule.globalNorm(1)));
            assertRefused(
                    IllegalArgumentException.class,
                    "other update",
                    () -> captured.step.setUpdate(Update.adam(0.1), stream));
            assertRefused(CudaException.class, "a captured step on a stream", () -> prepared.capture(stream));
            CudaGraph.capture(
                            stream,
                            () -> assertRefused(
                                    CudaException.class, "CapturedStep is for that", () -> prepared.runAsync(stream)))
                    .close();
            List<HostBuffer> elsewhere = captured.cuda.weights.stream()
                    .map(each -> Values.buffer(each.dtype(), Values.read(each)))
                    .toList();
            String moved = String.valueOf(
                    assertThrows(IllegalStateException.class, () -> clipper.rebindWeights(CUDA.place(elsewhere)))
                            .getMessage());
            assertTrue(moved.contains("a captured clip or step still works"), moved);
            captured.step.close();
            assertRefused(
                    IllegalStateException.class,
                    "the captured step is closed",
                    () -> captured.step.setUpdate(Update.sgd(1), stream));
            for (int i = 0; i < before.size(); i++) {
                assertArrayEquals(before.get(i), captured.cuda.bits().get(i));
            }
            captured.cuda.bind(2, -1, -1);
            assertRefused(
                    CudaException.class,
                    "a captured step after a rebind",
                    () -> CudaGraph.capture(stream, () -> prepared.capture(stream)));
            assertEquals(0, clipper.state().steps());
        }
    }

    @Test
    void weightsThatAreAbsentAreRefusedByName() {
        try (Model cuda = new Model(CUDA)) {
            cuda.bind(1, -1, -1);
            List<@Nullable HostBuffer> some = new ArrayList<>(cuda.weights);
            some.set(3, null);
            cuda.clipper.rebindWeights(CUDA.place(some));
            List<long[]> before = cuda.bits();
            String said = String.valueOf(assertThrows(
                            IllegalStateException.class,
                            () -> cuda.clipper.step(Update.adam(1), ClipRule.globalNorm(1)))
                    .getMessage());
            assertTrue(said.contains("tensor 3 has no weights"), said);
            assertFalse(cuda.clipper.isPartlyClipped());
            for (int i = 0; i < before.size(); i++)
                assertArrayEquals(before.get(i), cuda.bits().get(i));
            cuda.bind(2, 3, -1);
            cuda.clipper.step(Update.adam(1), ClipRule.globalNorm(1));
            assertEquals(0, cuda.clipper.state().steps("tensor 3"));
            assertEquals(1, cuda.clipper.state().steps("tensor 2"));
        }
    }
}
