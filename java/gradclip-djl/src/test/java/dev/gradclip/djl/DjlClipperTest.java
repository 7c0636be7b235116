// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.djl;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import ai.djl.Device;
import ai.djl.Model;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Parameter;
import ai.djl.pytorch.engine.PtNDArray;
import ai.djl.pytorch.jni.JniUtils;
import ai.djl.training.optimizer.Optimizer;
import ai.djl.training.tracker.Tracker;
import com.sun.jna.Native;
import com.sun.jna.Pointer;
import dev.gradclip.Backend;
import dev.gradclip.ClipEvent;
import dev.gradclip.ClipResult;
import dev.gradclip.ClipRule;
import dev.gradclip.GradientClipperBuilder;
import dev.gradclip.HelperThreads;
import dev.gradclip.HostBuffer;
import dev.gradclip.NonFiniteGradientException;
import dev.gradclip.NonFinitePolicy;
import dev.gradclip.Update;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Gradients of parameters, one by one. */
class DjlClipperTest {
    private final NDManager manager = NDManager.newBaseManager("PyTorch");

    @AfterEach
    void close() {
        manager.close();
    }

    private static String message(Class<? extends Exception> type, Executable call) {
        return String.valueOf(assertThrows(type, call).getMessage());
    }

    private static float[] gradient(Parameter parameter) {
        return parameter.getArray().getGradient().toFloatArray();
    }

    @Test
    void whatIsClippedIsTheFrameworksOwnMemory() {
        Parameter weight = Djl.parameter("weight", manager.create(new float[] {3, 4}));
        try (NDManager handles = manager.newSubManager()) {
            HostBuffer buffer = (HostBuffer) Objects.requireNonNull(
                    new DjlGradients(Djl.list(weight)).collect(handles).get(0));
            Pointer ours = Native.getDirectBufferPointer(buffer.memory().get(0));
            assertEquals(TorchAbi.address((PtNDArray) weight.getArray().getGradient()), Pointer.nativeValue(ours));
        }
        try (DjlClipper clipper = DjlClipper.of(Djl.list(weight))) {
            assertEquals(5, clipper.clipByGlobalNorm(1).globalNorm());
        }
        assertArrayEquals(new float[] {.6f, .8f}, gradient(weight), 1e-6f);
    }

    @Test
    void djlsOwnClipLetsNegativesPassAndThisDoesNot() {
        NDArray weight = manager.zeros(new Shape(2));
        Optimizer sgd = Optimizer.sgd()
                .setLearningRateTracker(Tracker.fixed(1))
                .optClipGrad(1)
                .build();
        sgd.update("weight", weight, manager.create(new float[] {10, -10}));
        assertArrayEquals(new float[] {-1, 10}, weight.toFloatArray(), "what 'limit 1' makes of a gradient of -10");
        Parameter ours = Djl.parameter("weight", manager.create(new float[] {10, -10}));
        try (DjlClipper clipper = DjlClipper.of(Djl.list(ours))) {
            assertEquals(2, clipper.clipByValue(1).elementsChanged());
        }
        assertArrayEquals(new float[] {1, -1}, gradient(ours));
    }

    @Test
    void eachVerb() {
        Parameter a = Djl.parameter("a", manager.ones(new Shape(2, 2)));
        Parameter b = Djl.parameter("b", manager.ones(new Shape(12)));
        try (DjlClipper clipper = DjlClipper.of(Djl.list(a, b))) {
            assertEquals(List.of("a", "b"), clipper.names());
            assertEquals(4, clipper.globalNorm());
            assertEquals(2, clipper.clipPerTensorNorm(2).tensorNorm(0));
            assertEquals(Math.sqrt(8), clipper.globalNorm(), 1e-5);
            assertEquals(2, clipper.clip(ClipRule.value(-1, 0.25)).tensors());
            assertEquals(1, clipper.globalNorm());
        }
    }

    /** Not BFLOAT16: an array of it ends the JVM in DJL 0.35.1. */
    @ParameterizedTest
    @EnumSource(
            value = DataType.class,
            names = {"FLOAT16", "FLOAT32", "FLOAT64"})
    void eachTypeThatGradientsHave(DataType type) {
        Parameter weight =
                Djl.parameter("weight", manager.full(new Shape(100), 2f).toType(type, true));
        try (DjlClipper clipper = DjlClipper.of(Djl.list(weight))) {
            assertEquals(20, clipper.clipByGlobalNorm(10).globalNorm());
            assertEquals(10, Djl.norm(weight.getArray().getGradient()), type == DataType.FLOAT16 ? .01 : 1e-5);
        }
    }

    @Test
    void aStepUpdatesParametersAndZeroesGradients() {
        Parameter a = Djl.parameter("a", manager.create(new float[] {3, 4}));
        Parameter frozen = Djl.parameter("frozen", manager.ones(new Shape(2)));
        frozen.freeze(true);
        try (DjlClipper clipper = DjlClipper.of(Djl.list(a, frozen))) {
            ClipResult result = clipper.step(Update.sgd(0.5), ClipRule.globalNorm(1));
            assertEquals(5, result.globalNorm());
            assertArrayEquals(new float[] {-.3f, -.4f}, a.getArray().toFloatArray(), 1e-6f);
            assertArrayEquals(new float[] {0, 0}, gradient(a));
            assertArrayEquals(new float[] {0, 0}, frozen.getArray().toFloatArray());
            Djl.give(a, manager.create(new float[] {0, 2}));
            clipper.step(Update.sgd(0.5), ClipRule.globalNorm(100));
            assertArrayEquals(new float[] {-.3f, -1.4f}, a.getArray().toFloatArray(), 1e-6f);
        }
    }

    @Test
    void aSkippedStepLeavesTheParametersAndZeroesGradients() {
        Parameter a = Djl.parameter("a", manager.create(new float[] {3, Float.NaN}));
        ClipRule rule = ClipRule.globalNorm(1).withNonFinitePolicy(NonFinitePolicy.SKIP);
        try (DjlClipper clipper = DjlClipper.of(Djl.list(a))) {
            assertTrue(clipper.step(Update.adamW(0.5), rule).nonFinite());
            assertArrayEquals(new float[] {0, 0}, a.getArray().toFloatArray());
            assertEquals(0, Djl.norm(a.getArray().getGradient()));
            Djl.give(a, manager.create(new float[] {3, 4}));
            assertEquals(5, clipper.step(Update.adam(0.5), rule).globalNorm());
            assertArrayEquals(new float[] {-.5f, -.5f}, a.getArray().toFloatArray(), 1e-5f);
        }
    }

    @Test
    void aSpikeIsSkippedAndZeroed() {
        Parameter a = Djl.parameter("a", manager.create(new float[] {30, 40}));
        ClipRule rule = ClipRule.skipAbove(10);
        try (DjlClipper clipper = DjlClipper.of(Djl.list(a))) {
            assertTrue(clipper.step(Update.sgd(0.5), rule).skipped());
            assertArrayEquals(new float[] {0, 0}, a.getArray().toFloatArray());
            assertEquals(0, Djl.norm(a.getArray().getGradient()));
            assertEquals(1, clipper.history(rule).steps());
        }
    }

    @Test
    void aRestartGoesOnWithTheState(@TempDir Path folder) throws IOException {
        Path file = folder.resolve("state.safetensors");
        Parameter whole = Djl.parameter("a", manager.create(new float[] {3, 4}));
        Parameter cut = Djl.parameter("a", manager.create(new float[] {3, 4}));
        Update update = Update.sgd(0.5).withMomentum(0.9);
        try (DjlClipper one = DjlClipper.of(Djl.list(whole));
                DjlClipper before = DjlClipper.of(Djl.list(cut));
                DjlClipper after = DjlClipper.of(Djl.list(cut))) {
            assertThrows(IllegalStateException.class, () -> before.saveState(file));
            one.step(update, ClipRule.globalNorm(1));
            before.step(update, ClipRule.globalNorm(1));
            before.saveState(file);
            after.loadState(file);
            for (Parameter each : List.of(whole, cut)) Djl.give(each, manager.create(new float[] {1, -1}));
            one.step(update, ClipRule.globalNorm(1));
            after.step(update, ClipRule.globalNorm(1));
            assertArrayEquals(whole.getArray().toFloatArray(), cut.getArray().toFloatArray());
        }
    }

    @Test
    void aParameterThatIsATransposedViewIsRefusedByName() {
        Parameter view = Parameter.builder()
                .setName("view")
                .setType(Parameter.Type.OTHER)
                .build();
        NDArray turned = manager.ones(new Shape(3, 2)).transpose();
        view.setArray(turned);
        turned.setRequiresGradient(true);
        Djl.give(view, manager.ones(new Shape(2, 3)));
        try (DjlClipper clipper = DjlClipper.of(Djl.list(view))) {
            String said =
                    message(IllegalArgumentException.class, () -> clipper.step(Update.sgd(1), ClipRule.globalNorm(1)));
            assertTrue(said.contains("view is not contiguous"), said);
        }
    }

    /** Rows (3, 4) and (0, 0.5) with weights (24, 32) and (6, 8): λ = 1/16 allows norms of 2.5 and 0.625. */
    @Test
    void unitsAreRowsWithTheirWeights() {
        Parameter kernel = Djl.parameter("kernel", manager.create(new float[] {3, 4, 0, .5f}, new Shape(2, 2)));
        Parameter bias = Djl.parameter("bias", manager.create(new float[] {3, 4}));
        Parameter frozen = Djl.parameter("frozen", manager.ones(new Shape(2, 3)));
        frozen.freeze(true);
        Djl.move(kernel, manager.create(new float[] {24, 32, 6, 8}, new Shape(2, 2)));
        Djl.move(bias, manager.create(new float[] {6, 8}));
        try (DjlClipper clipper = DjlClipper.of(Djl.list(kernel, bias, frozen)).units()) {
            ClipResult result = clipper.clip(ClipRule.adaptive(1 / 16.0));
            assertEquals(5, result.rowNorm(0, 0));
            assertEquals(0.5, result.rowCoefficient(0, 0));
            assertEquals(1, result.rowCoefficient(0, 1));
            assertEquals(0.125, result.tensorCoefficient(1), "a bias is one unit");
            assertArrayEquals(new float[] {1.5f, 2, 0, .5f}, gradient(kernel));
            assertArrayEquals(new float[] {.375f, .5f}, gradient(bias));
            assertEquals(
                    0.25,
                    clipper.clip(ClipRule.perRowNorm(0.625).withEpsilon(0)).rowCoefficient(0, 0));
        }
        try (DjlClipper without = DjlClipper.of(Djl.list(kernel))) {
            String said = message(IllegalArgumentException.class, () -> without.clip(ClipRule.adaptive(1)));
            assertTrue(said.contains("adaptive clipping compares gradients with their parameters"), said);
        }
    }

    @Test
    void halvesAndDoublesAreOneNorm() {
        Parameter half = Djl.parameter("half", manager.full(new Shape(16), 1f).toType(DataType.FLOAT16, true));
        Parameter exact = Djl.parameter("exact", manager.full(new Shape(9), 1f).toType(DataType.FLOAT64, true));
        try (DjlClipper clipper = DjlClipper.of(Djl.list(half, exact))) {
            assertEquals(5, clipper.globalNorm());
        }
    }

    @Test
    void aFrozenParameterAndOneWithoutAGradientAreLeftOut() {
        Parameter a = Djl.parameter("a", manager.full(new Shape(4), 1f));
        Parameter frozen = Djl.parameter("frozen", manager.full(new Shape(4), 1f));
        frozen.freeze(true);
        Parameter unused = Parameter.builder()
                .setName("unused")
                .setType(Parameter.Type.OTHER)
                .build();
        unused.setArray(manager.zeros(new Shape(7)));
        unused.getArray().setRequiresGradient(true);
        try (DjlClipper clipper = DjlClipper.of(Djl.list(a, frozen, unused))) {
            ClipResult result = clipper.clipByGlobalNorm(1);
            assertEquals(1, result.tensors());
            assertEquals(2, result.globalNorm());
            Djl.give(unused, manager.full(new Shape(7), 3f));
            assertEquals(2, clipper.clipByGlobalNorm(1).tensors(), "it came later");
            assertEquals(1, Djl.norm(Djl.list(a, unused)), 1e-5);
        }
    }

    @Test
    void aGradientThatWasFreedAndAllocatedAnewIsFound() {
        Parameter a = Djl.parameter("a", manager.full(new Shape(4), 1f));
        try (DjlClipper clipper = DjlClipper.of(Djl.list(a))) {
            clipper.clipByGlobalNorm(1);
            // Kept, so that the next can't be where it is.
            NDArray old = a.getArray().getGradient();
            for (long step = 2; step < 5; step++) {
                NDArray array = manager.zeros(new Shape(4L * step));
                a.close();
                a.setShape(null);
                a.setArray(array);
                array.setRequiresGradient(true);
                Djl.give(a, manager.full(new Shape(4L * step), 1f));
                assertNotEquals(TorchAbi.address((PtNDArray) old), TorchAbi.address((PtNDArray) array.getGradient()));
                assertEquals(Math.sqrt(4.0 * step), clipper.clipByGlobalNorm(1).globalNorm(), 1e-12);
                assertEquals(1, Djl.norm(array.getGradient()), 1e-5);
            }
            assertEquals(1, Djl.norm(old), 1e-5, "clipped once");
        }
    }

    @Test
    void squaresThatOverflowAFloatAndWhatIsNotFinite() {
        Parameter a = Djl.parameter("a", manager.create(new float[] {3e20f, 4e20f}));
        Parameter b = Djl.parameter("b", manager.create(new float[] {0, Float.NaN}));
        try (DjlClipper clipper = DjlClipper.of(Djl.list(a))) {
            assertEquals(5e20, clipper.clipByGlobalNorm(1).globalNorm(), 1e14);
            assertArrayEquals(new float[] {.6f, .8f}, gradient(a), 1e-6f);
        }
        try (DjlClipper clipper = DjlClipper.of(Djl.list(a, b))) {
            assertTrue(clipper.clip(ClipRule.globalNorm(.1).withNonFinitePolicy(NonFinitePolicy.SKIP))
                    .nonFinite());
            ClipRule strict = ClipRule.globalNorm(.1).withNonFinitePolicy(NonFinitePolicy.ERROR);
            assertTrue(message(NonFiniteGradientException.class, () -> clipper.clip(strict))
                    .contains("b"));
            assertArrayEquals(new float[] {.6f, .8f}, gradient(a), 1e-6f);
        }
    }

    @Test
    void aTransposedGradientIsRefusedByName() {
        Parameter good = Djl.parameter("good", manager.full(new Shape(4), 2f));
        Parameter askew = Parameter.builder()
                .setName("askew")
                .setType(Parameter.Type.OTHER)
                .build();
        NDArray array = manager.zeros(new Shape(3, 5)).transpose();
        askew.setArray(array);
        array.setRequiresGradient(true);
        Djl.give(askew, manager.full(new Shape(5, 3), 1f));
        try (DjlClipper clipper = DjlClipper.of(Djl.list(good, askew))) {
            String said = message(IllegalArgumentException.class, () -> clipper.clipByGlobalNorm(1));
            assertTrue(said.contains("gradient of askew is not contiguous"), said);
            assertArrayEquals(new float[] {2, 2, 2, 2}, gradient(good));
        }
    }

    @Test
    void aSparseGradientIsRefusedByName() {
        Parameter table = Parameter.builder()
                .setName("table")
                .setType(Parameter.Type.OTHER)
                .build();
        NDArray array = manager.zeros(new Shape(5, 3));
        table.setArray(array);
        array.setRequiresGradient(true);
        try (var collector = manager.getEngine().newGradientCollector()) {
            collector.backward(JniUtils.embedding(
                            (PtNDArray) manager.create(new long[] {1, 3}), (PtNDArray) array, true)
                    .sum());
        }
        try (DjlClipper clipper = DjlClipper.of(Djl.list(table))) {
            String said = message(IllegalArgumentException.class, () -> clipper.clipByGlobalNorm(1));
            assertTrue(said.contains("gradient of table is sparse"), said);
        }
    }

    @Test
    void aParameterThatIsNotInitializedSaysSo() {
        try (Model model = Djl.model();
                DjlClipper clipper = DjlClipper.of(model.getBlock())) {
            String said = message(IllegalStateException.class, clipper::globalNorm);
            assertTrue(said.contains("weight is not initialized"), said);
        }
    }

    @Test
    void aSharedParameterIsClippedOnce() {
        Parameter a = Djl.parameter("a", manager.full(new Shape(4), 1f));
        try (DjlClipper clipper = DjlClipper.of(Djl.list(a, a))) {
            assertEquals(2, clipper.globalNorm());
            assertEquals(List.of("a"), clipper.names());
        }
    }

    @Test
    void aListenerHearsOfEachClip() {
        List<ClipEvent> heard = new ArrayList<>();
        Parameter a = Djl.parameter("a", manager.full(new Shape(16), 1f));
        try (DjlClipper clipper = DjlClipper.of(Djl.list(a), settings -> settings.listener(heard::add))) {
            clipper.clipByGlobalNorm(2);
            clipper.clipByGlobalNorm(8);
            assertEquals(2, clipper.globalNorm(), 1e-6, "a norm is no clip");
        }
        assertEquals(List.of(0L, 1L), heard.stream().map(ClipEvent::step).toList());
        assertEquals(
                List.of(true, false), heard.stream().map(ClipEvent::clipped).toList());
        assertEquals(4, heard.get(0).globalNorm());
        assertEquals(2, heard.get(1).globalNorm(), 1e-6);
    }

    @Test
    void threadsOfThisLibrarysOwnInsteadOfPyTorchs() throws InterruptedException {
        assumeTrue(Backend.NATIVE.isAvailable(), "plain Java finds no OpenMP threads");
        assumeTrue(Runtime.getRuntime().availableProcessors() > 1, "PyTorch has one thread");
        assertEquals(0, helpers(settings -> settings.threads(1)));
        assertTrue(helpers(settings -> {}) > 0, "PyTorch's threads");
    }

    /** The number of PyTorch's threads that helped a training thread of its own. */
    private int helpers(Consumer<GradientClipperBuilder> settings) throws InterruptedException {
        Parameter weight = Djl.parameter("weight", manager.full(new Shape(1 << 21), 1f));
        return HelperThreads.of(() -> {
                    try (DjlClipper clipper = DjlClipper.of(Djl.list(weight), settings)) {
                        for (int i = 0; i < 20; i++) assertEquals(Math.sqrt(1 << 21), clipper.globalNorm());
                    }
                })
                .size();
    }

    @Test
    void settingsThatCannotBe() {
        String said = message(
                IllegalArgumentException.class, () -> DjlClipper.of(Djl.list(), settings -> settings.threads(0)));
        assertTrue(said.contains("threads must be 1 or more"), said);
        said = message(
                IllegalArgumentException.class,
                () -> new ClippingListener(ClipRule.globalNorm(1), settings -> settings.threads(-1)));
        assertTrue(said.contains("threads must be 1 or more"), said);
    }

    @Test
    void collectAndRebindAreWhatAVerbDoes() {
        Parameter a = Djl.parameter("a", manager.create(new float[] {3, 4}));
        DjlClipper clipper = DjlClipper.of(Djl.list(a));
        assertTrue(message(IllegalStateException.class, clipper::rebind).contains("collect() comes before"));
        clipper.collect();
        assertEquals(5, clipper.rebind().clipByGlobalNorm(1).globalNorm());
        assertArrayEquals(new float[] {.6f, .8f}, gradient(a), 1e-6f);
        assertEquals(1, clipper.globalNorm(), 1e-6);
        assertThrows(IllegalStateException.class, clipper::rebind, "a verb lets go of what it collected");
        clipper.collect();
        clipper.close();
        assertThrows(IllegalStateException.class, clipper::rebind);
        assertTrue(message(IllegalStateException.class, clipper::collect).contains("closed"));
    }

    @Test
    void noHandleStaysBehind() {
        Parameter a = Djl.parameter("a", manager.full(new Shape(4), 1f));
        try (DjlClipper clipper = DjlClipper.of(Djl.list(a))) {
            clipper.clipByGlobalNorm(1);
            int before = manager.getManagedArrays().size();
            for (int i = 0; i < 10; i++) clipper.clipByGlobalNorm(1);
            assertEquals(before, manager.getManagedArrays().size());
        }
    }

    @Test
    void aClosedClipperSaysSo() {
        DjlClipper clipper = DjlClipper.of(Djl.list());
        assertEquals(0, clipper.clipByGlobalNorm(1).tensors());
        clipper.close();
        clipper.close();
        assertTrue(message(IllegalStateException.class, clipper::globalNorm).contains("closed"));
    }

    @Test
    void aTrainerOfSeveralDevicesIsRefused() {
        try (Model model = Djl.model()) {
            var config = Djl.config(Optimizer.sgd()
                            .setLearningRateTracker(Tracker.fixed(1))
                            .build())
                    .optDevices(new Device[] {Device.cpu(), Device.gpu(0)});
            try (var trainer = model.newTrainer(config)) {
                String said = message(IllegalArgumentException.class, () -> DjlClipper.of(trainer));
                assertTrue(said.contains("[cpu(), gpu(0)]"), said);
            }
        }
    }
}
