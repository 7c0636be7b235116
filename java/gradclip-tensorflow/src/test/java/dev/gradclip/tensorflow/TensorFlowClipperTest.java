// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.tensorflow;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.ClipEvent;
import dev.gradclip.ClipRule;
import dev.gradclip.NonFiniteGradientException;
import dev.gradclip.NonFinitePolicy;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.Session;
import org.tensorflow.framework.optimizers.Adam;
import org.tensorflow.framework.optimizers.GradientDescent;
import org.tensorflow.framework.optimizers.Optimizer;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Placeholder;
import org.tensorflow.op.core.Variable;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TFloat64;

/** Graphs train; with plain descent at rate 1 a step moves the variables by the gradient that the optimizer saw. */
class TensorFlowClipperTest {
    private final Graph graph = new Graph();
    private final Ops tf = Ops.create(graph);
    private final Ops init = tf.withInitScope();
    private final Session session = new Session(graph);
    private final Optimizer descent = new GradientDescent(graph, 1f);

    @AfterEach
    void close() {
        session.close();
        graph.close();
    }

    private Variable<TFloat32> variable(String name, float... values) {
        Ops named = tf.withName(name);
        Variable<TFloat32> variable = named.variable(Shape.of(values.length), TFloat32.class);
        init.assign(variable, init.constant(values));
        return variable;
    }

    private double[] values(Operand<TFloat32> variable) {
        try (var result = session.runner().fetch(variable).run()) {
            TFloat32 tensor = (TFloat32) result.get(0);
            double[] values = new double[(int) tensor.size()];
            for (int i = 0; i < values.length; i++) values[i] = tensor.getFloat(i);
            return values;
        }
    }

    private static double distance(double[] a, double[] b) {
        double sum = 0;
        for (int i = 0; i < a.length; i++) sum += (a[i] - b[i]) * (a[i] - b[i]);
        return Math.sqrt(sum);
    }

    @Test
    void aRegressionMovesByTheClippedNorm() {
        Variable<TFloat32> slope = variable("slope", 5, -5);
        Variable<TFloat32> bias = variable("bias", 1);
        Placeholder<TFloat32> x = tf.placeholder(TFloat32.class, Placeholder.shape(Shape.of(4, 2)));
        Placeholder<TFloat32> y = tf.placeholder(TFloat32.class, Placeholder.shape(Shape.of(4)));
        Operand<TFloat32> line = tf.math.add(tf.reduceSum(tf.math.mul(x, slope), tf.constant(1)), bias);
        Operand<TFloat32> loss = tf.math.mean(tf.math.squaredDifference(line, y), tf.constant(0));
        Optimizer slow = new GradientDescent(graph, 0.01f);
        List<Double> losses = new ArrayList<>();
        try (TFloat32 features = TFloat32.tensorOf(Shape.of(4, 2));
                TFloat32 labels = TFloat32.vectorOf(1, 2, 3, 4);
                TensorFlowClipper clipper = TensorFlowClipper.of(graph, slow.computeGradients(loss))) {
            for (int i = 0; i < 8; i++) features.setFloat(i % 3 + 1, i / 2, i % 2);
            Op train = slow.applyGradients(clipper.gradients(), "train");
            assertEquals(List.of("slope", "bias"), clipper.names());
            session.initialize();
            for (int step = 0; step < 5; step++) {
                double[] slopeBefore = values(slope);
                double[] biasBefore = values(bias);
                Session.Runner backward =
                        session.runner().feed(x, features).feed(y, labels).fetch(loss);
                try (ClippedGradients clipped = clipper.clipByGlobalNorm(backward, 0.5)) {
                    losses.add((double) ((TFloat32) clipped.fetched().get(0)).getFloat());
                    assertTrue(clipped.result().globalNorm() > 1, "nothing to clip");
                    clipped.feed(session.runner()).addTarget(train).run().close();
                }
                double moved = Math.hypot(distance(slopeBefore, values(slope)), distance(biasBefore, values(bias)));
                assertEquals(0.005, moved, 1e-5);
            }
        }
        assertTrue(losses.get(4) < losses.get(0), losses.toString());
    }

    @Test
    void aConstantOfTheGraphStaysWhatItWas() {
        // The gradient of a sum is a constant of ones, which a session gives out as it is.
        Variable<TFloat32> weight = variable("weight", 1, 2, 3, 4);
        Operand<TFloat32> loss = tf.reduceSum(weight, tf.constant(0));
        var computed = descent.computeGradients(loss);
        try (TensorFlowClipper clipper = TensorFlowClipper.of(graph, computed)) {
            session.initialize();
            for (int step = 0; step < 3; step++) {
                try (ClippedGradients clipped = clipper.clipByGlobalNorm(session.runner(), 1)) {
                    assertEquals(2, clipped.result().globalNorm());
                    assertEquals(.5, ((TFloat32) clipped.fetched().get(0)).getFloat(0), 1e-5);
                }
            }
            try (var result =
                    session.runner().fetch(computed.get(0).getGradient()).run()) {
                assertEquals(1, ((TFloat32) result.get(0)).getFloat(0));
            }
        }
    }

    @Test
    void aVariableThatIsItsOwnGradientStaysWhatItWas() {
        Variable<TFloat32> weight = variable("weight", 3, 4);
        Operand<TFloat32> loss = tf.nn.l2Loss(weight);
        try (TensorFlowClipper clipper = TensorFlowClipper.of(graph, descent.computeGradients(loss))) {
            session.initialize();
            try (ClippedGradients clipped = clipper.clipPerTensorNorm(session.runner(), 1)) {
                assertEquals(5, clipped.result().globalNorm());
            }
            assertEquals(5, distance(values(weight), new double[2]));
        }
    }

    @Test
    void oneGradientForTwoVariablesIsAppliedToBoth() {
        Variable<TFloat32> a = variable("a", 1, 2);
        Variable<TFloat32> b = variable("b", 3, 4);
        Operand<TFloat32> loss = tf.reduceSum(tf.math.addN(List.of(a, b)), tf.constant(0));
        try (TensorFlowClipper clipper = TensorFlowClipper.of(graph, descent.computeGradients(loss))) {
            Op train = descent.applyGradients(clipper.gradients(), "train");
            session.initialize();
            try (ClippedGradients clipped = clipper.clipByGlobalNorm(session.runner(), 1)) {
                assertEquals(2, clipped.result().globalNorm());
                clipped.feed(session.runner()).addTarget(train).run().close();
            }
            assertEquals(.5, values(a)[0], 1e-5);
            assertEquals(2.5, values(b)[0], 1e-5);
        }
    }

    @Test
    void aVariableWithoutAGradientIsLeftOut() {
        Variable<TFloat32> used = variable("used", 3, 4);
        Variable<TFloat32> constant = variable("constant", 1);
        Operand<TFloat32> offset = tf.reduceSum(tf.stopGradient(constant), tf.constant(0));
        Operand<TFloat32> loss = tf.math.add(tf.nn.l2Loss(used), offset);
        try (TensorFlowClipper clipper = TensorFlowClipper.of(graph, descent.computeGradients(loss))) {
            assertEquals(List.of("used"), clipper.names());
            Op train = descent.applyGradients(clipper.gradients(), "train");
            session.initialize();
            try (ClippedGradients clipped = clipper.clipByValue(session.runner(), 1)) {
                assertEquals(2, clipped.result().elementsChanged());
                clipped.feed(session.runner()).addTarget(train).run().close();
            }
            assertEquals(2, values(used)[0]);
        }
    }

    @Test
    void doublesAndAnOptimizerWithState() {
        Variable<TFloat64> weight = tf.withName("weight").variable(Shape.of(2), TFloat64.class);
        init.assign(weight, init.constant(new double[] {3, 4}));
        Optimizer adam = new Adam(graph);
        try (TensorFlowClipper clipper = TensorFlowClipper.of(graph, adam.computeGradients(tf.nn.l2Loss(weight)))) {
            Op train = adam.applyGradients(clipper.gradients(), "train");
            session.initialize();
            double last = 5;
            for (int step = 0; step < 3; step++) {
                try (ClippedGradients clipped = clipper.clipByGlobalNorm(session.runner(), 1)) {
                    double norm = clipped.result().globalNorm();
                    assertTrue(step == 0 ? norm == 5 : norm < last, norm + " after " + last);
                    last = norm;
                    clipped.feed(session.runner()).addTarget(train).run().close();
                }
            }
        }
    }

    @Test
    void whatIsNotFinite() {
        Variable<TFloat32> weight = variable("weight", Float.NaN, 1);
        try (TensorFlowClipper clipper = TensorFlowClipper.of(graph, descent.computeGradients(tf.nn.l2Loss(weight)))) {
            session.initialize();
            ClipRule strict = ClipRule.globalNorm(1).withNonFinitePolicy(NonFinitePolicy.ERROR);
            String said = String.valueOf(
                    assertThrows(NonFiniteGradientException.class, () -> clipper.clip(session.runner(), strict))
                            .getMessage());
            assertTrue(said.contains("weight"), said);
            ClipRule zero = strict.withNonFinitePolicy(NonFinitePolicy.ZERO);
            try (ClippedGradients clipped = clipper.clip(session.runner(), zero)) {
                assertEquals(1, clipped.result().globalNorm());
                assertNotEquals(Float.NaN, ((TFloat32) clipped.fetched().get(0)).getFloat(0));
            }
        }
    }

    @Test
    void twoClippersOfOneGraph() {
        var computed = descent.computeGradients(tf.nn.l2Loss(variable("weight", 3, 4)));
        try (TensorFlowClipper first = TensorFlowClipper.of(graph, computed);
                TensorFlowClipper second = TensorFlowClipper.of(graph, computed)) {
            session.initialize();
            try (ClippedGradients one = first.clipByGlobalNorm(session.runner(), 1);
                    ClippedGradients other = second.clipByGlobalNorm(session.runner(), 10)) {
                assertTrue(one.result().clipped());
                assertEquals(3, ((TFloat32) other.fetched().get(0)).getFloat(0));
            }
        }
    }

    @Test
    void aListenerHearsOfEachClip() {
        List<ClipEvent> heard = new ArrayList<>();
        Variable<TFloat32> weight = variable("weight", 3, 4);
        try (TensorFlowClipper clipper = TensorFlowClipper.of(
                graph, descent.computeGradients(tf.nn.l2Loss(weight)), settings -> settings.listener(heard::add))) {
            session.initialize();
            for (double maxNorm : new double[] {1, 10, 2}) {
                clipper.clipByGlobalNorm(session.runner(), maxNorm).close();
            }
        }
        assertEquals(List.of(0L, 1L, 2L), heard.stream().map(ClipEvent::step).toList());
        assertEquals(
                List.of(true, false, true),
                heard.stream().map(ClipEvent::clipped).toList());
        for (ClipEvent event : heard) assertEquals(5, event.globalNorm());
    }

    @Test
    void theExecutorThatIsSetIsAsked() {
        AtomicInteger tasks = new AtomicInteger();
        var computed = descent.computeGradients(tf.nn.l2Loss(variable("weight", new float[1 << 21])));
        try (TensorFlowClipper clipper = TensorFlowClipper.of(
                graph, computed, settings -> settings.executor(task -> tasks.incrementAndGet(), 2))) {
            session.initialize();
            clipper.clipByGlobalNorm(session.runner(), 1).close();
        }
        assertEquals(1, tasks.get(), "one helper to measure; zeros are not scaled");
    }

    @Test
    void settingsThatCannotBe() {
        var computed = descent.computeGradients(tf.nn.l2Loss(variable("weight", 3, 4)));
        String said = String.valueOf(assertThrows(
                        IllegalArgumentException.class,
                        () -> TensorFlowClipper.of(graph, computed, settings -> settings.threads(0)))
                .getMessage());
        assertTrue(said.contains("threads must be 1 or more"), said);
        TensorFlowClipper.of(graph, computed).close();
    }

    @Test
    void aClosedClipperSaysSo() {
        Variable<TFloat32> weight = variable("weight", 1);
        TensorFlowClipper clipper = TensorFlowClipper.of(graph, descent.computeGradients(tf.nn.l2Loss(weight)));
        clipper.close();
        clipper.close();
        assertThrows(IllegalStateException.class, () -> clipper.clipByGlobalNorm(session.runner(), 1));
    }

    /** A matrix of a dense layer, [in, out]: its columns are its outputs. */
    @Test
    void unitsLieAlongTheLastAxis() {
        Variable<TFloat32> kernel = tf.withName("kernel").variable(Shape.of(2, 2), TFloat32.class);
        init.assign(kernel, init.constant(new float[][] {{0.3f, 2}, {0.4f, 2}}));
        Variable<TFloat32> bias = variable("bias", 1);
        Operand<TFloat32> weighted = tf.math.mul(kernel, tf.constant(new float[][] {{3, 1}, {4, 1}}));
        Operand<TFloat32> sum = tf.reduceSum(weighted, tf.constant(new int[] {0, 1}));
        Operand<TFloat32> loss = tf.math.add(sum, tf.reduceSum(bias, tf.constant(0)));
        try (TensorFlowClipper clipper =
                TensorFlowClipper.of(graph, descent.computeGradients(loss)).units()) {
            Op train = descent.applyGradients(clipper.gradients(), "train");
            session.initialize();
            try (ClippedGradients clipped = clipper.clip(session.runner().fetch(loss), ClipRule.adaptive(1))) {
                // Column 0 has a gradient of 5 and weights of 0.5; column 1 has sqrt(2) and sqrt(8); the bias 1 and 1.
                assertEquals(5, clipped.result().rowNorm(clipper.names().indexOf("kernel"), 0), 1e-6);
                assertEquals(
                        0.1, clipped.result().rowCoefficient(clipper.names().indexOf("kernel"), 0), 1e-6);
                assertEquals(1, clipped.result().rowCoefficient(clipper.names().indexOf("kernel"), 1));
                assertEquals(
                        0.3 * 3 + 2 + 0.4 * 4 + 2 + 1,
                        ((TFloat32) clipped.fetched().get(0)).getFloat(),
                        1e-5);
                clipped.feed(session.runner()).addTarget(train).run();
            }
            try (var result = session.runner().fetch(kernel).run()) {
                TFloat32 now = (TFloat32) result.get(0);
                assertEquals(0.3 - 0.3, now.getFloat(0, 0), 1e-6);
                assertEquals(2 - 1, now.getFloat(0, 1), 1e-6);
                assertEquals(0.4 - 0.4, now.getFloat(1, 0), 1e-6);
            }
            assertEquals(0, values(bias)[0], 1e-6);
            try (ClippedGradients clipped = clipper.units(0).clip(session.runner(), ClipRule.perRowNorm(1))) {
                assertEquals(
                        Math.sqrt(10), clipped.result().rowNorm(clipper.names().indexOf("kernel"), 0), 1e-6);
            }
        }
    }

    @Test
    void aHistoryGoesOnInAnotherClipper(@TempDir Path folder) throws IOException {
        Variable<TFloat32> weights = variable("weights", 3, 4);
        Operand<TFloat32> loss = tf.reduceSum(tf.math.mul(weights, tf.constant(new float[] {3, 4})), tf.constant(0));
        ClipRule rule = ClipRule.autoClip(10);
        var gradients = descent.computeGradients(loss);
        try (TensorFlowClipper first = TensorFlowClipper.of(graph, gradients)) {
            assertThrows(IllegalStateException.class, () -> first.history(rule));
            session.initialize();
            for (int i = 0; i < 3; i++) first.clip(session.runner(), rule).close();
            first.history(rule).save(folder.resolve("history.safetensors"));
            assertThrows(IllegalArgumentException.class, () -> first.history(ClipRule.globalNorm(1)));
        }
        try (TensorFlowClipper second = TensorFlowClipper.of(graph, gradients)) {
            second.clip(session.runner(), rule).close();
            second.history(rule).load(folder.resolve("history.safetensors"));
            assertEquals(3, second.history(rule).steps());
        }
    }
}
