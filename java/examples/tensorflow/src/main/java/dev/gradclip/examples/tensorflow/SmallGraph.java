// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.tensorflow;

import java.util.ArrayList;
import java.util.List;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.Session;
import org.tensorflow.framework.optimizers.GradientDescent;
import org.tensorflow.framework.optimizers.Optimizer;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Placeholder;
import org.tensorflow.op.core.Variable;
import org.tensorflow.op.nn.SoftmaxCrossEntropyWithLogits;
import org.tensorflow.types.TFloat32;

/** Four dense layers, a loss and an optimizer, with inputs that are far too large. */
final class SmallGraph implements AutoCloseable {
    static final int EXAMPLES = 32;
    private static final int CLASSES = 10;

    final Graph graph = new Graph();
    final Ops tf = Ops.create(graph);
    final Optimizer optimizer = new GradientDescent(graph, 0.05f);
    final Operand<TFloat32> loss;
    final List<Shape> shapes = new ArrayList<>();
    private final Session session = new Session(graph);
    private final Placeholder<TFloat32> x;
    private final Placeholder<TFloat32> y;
    private final TFloat32 features;
    private final TFloat32 labels;

    SmallGraph(int units) {
        x = tf.placeholder(TFloat32.class, Placeholder.shape(Shape.of(EXAMPLES, units)));
        y = tf.placeholder(TFloat32.class, Placeholder.shape(Shape.of(EXAMPLES, CLASSES)));
        Operand<TFloat32> layer = x;
        for (int i = 0; i < 3; i++) layer = tf.nn.relu(dense("layer" + i, layer, units, units));
        Operand<TFloat32> logits = dense("output", layer, units, CLASSES);
        SoftmaxCrossEntropyWithLogits<TFloat32> each = tf.nn.softmaxCrossEntropyWithLogits(logits, y);
        loss = tf.math.mean(each.loss(), tf.constant(0));
        features = TFloat32.tensorOf(Shape.of(EXAMPLES, units));
        labels = TFloat32.tensorOf(Shape.of(EXAMPLES, CLASSES));
        for (int i = 0; i < EXAMPLES; i++) {
            for (int j = 0; j < units; j++) features.setFloat(100 * (float) Math.sin(i * units + j), i, j);
            labels.setFloat(1, i, i % CLASSES);
        }
    }

    private Operand<TFloat32> dense(String name, Operand<TFloat32> input, int inputs, int outputs) {
        Variable<TFloat32> weight =
                variable(name + "_weight", Shape.of(inputs, outputs), (float) Math.sqrt(2.0 / inputs));
        Variable<TFloat32> bias = variable(name + "_bias", Shape.of(outputs), 0);
        return tf.math.add(tf.linalg.matMul(input, weight), bias);
    }

    private Variable<TFloat32> variable(String name, Shape shape, float deviation) {
        Ops init = tf.withInitScope();
        Variable<TFloat32> variable = init.withName(name).variable(shape, TFloat32.class);
        Operand<TFloat32> normal = init.random.statelessRandomNormal(
                init.constant(shape.asArray()), init.constant(new long[] {7, shapes.size()}), TFloat32.class);
        init.assign(variable, init.math.mul(normal, init.constant(deviation)));
        shapes.add(shape);
        return variable;
    }

    void initialize() {
        session.initialize();
    }

    /** A run that is fed the examples. */
    Session.Runner onExamples() {
        return session.runner().feed(x, features).feed(y, labels);
    }

    Session.Runner runner() {
        return session.runner();
    }

    @Override
    public void close() {
        session.close();
        graph.close();
        features.close();
        labels.close();
    }
}
