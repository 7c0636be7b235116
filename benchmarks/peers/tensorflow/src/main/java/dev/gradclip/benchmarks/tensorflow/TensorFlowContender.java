// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks.tensorflow;

import dev.gradclip.benchmarks.FloatContender;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.Result;
import org.tensorflow.Session;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Placeholder;
import org.tensorflow.op.core.ReduceSum;
import org.tensorflow.types.TBool;
import org.tensorflow.types.TFloat32;

/**
 * The graphs that {@code tf.clip_by_global_norm} and {@code tf.clip_by_norm} build, each run in one call: gradients are
 * fed and their clipped copies fetched, for TensorFlow's tensors do not change.
 */
public final class TensorFlowContender implements FloatContender {
    private final List<TFloat32> gradients = new ArrayList<>();
    private final List<FloatBuffer> memory = new ArrayList<>();
    private final List<Placeholder<TFloat32>> inputs = new ArrayList<>();
    private final List<Operand<TFloat32>> byNorm = new ArrayList<>();
    private final List<Operand<TFloat32>> byOwnNorm = new ArrayList<>();
    private final List<Operand<TFloat32>> byValue = new ArrayList<>();
    private @Nullable Graph graph;
    private @Nullable Session session;
    private @Nullable Operand<TFloat32> norm;
    private @Nullable Placeholder<TFloat32> threshold;
    private @Nullable Result result;
    private boolean hasCopies;

    @Override
    public String name() {
        return "TensorFlow";
    }

    @Override
    public void bind(int[] lengths) {
        Graph newGraph = new Graph();
        Ops tf = Ops.create(newGraph);
        Placeholder<TFloat32> most = tf.placeholder(TFloat32.class, Placeholder.shape(Shape.scalar()));
        List<Operand<TFloat32>> halfSquares = new ArrayList<>();
        for (int length : lengths) {
            TFloat32 gradient = TFloat32.tensorOf(Shape.of(length));
            gradients.add(gradient);
            memory.add(gradient.asRawTensor().data().asFloats().accept(new Memory()));
            Placeholder<TFloat32> input = tf.placeholder(TFloat32.class, Placeholder.shape(Shape.of(length)));
            inputs.add(input);
            halfSquares.add(tf.nn.l2Loss(input));
        }
        Operand<TFloat32> total = tf.math.sqrt(tf.math.mul(tf.math.addN(halfSquares), tf.constant(2f)));
        Operand<TFloat32> coefficient = tf.math.minimum(tf.constant(1f), tf.math.div(most, total));
        for (Placeholder<TFloat32> input : inputs) {
            byNorm.add(tf.math.mul(input, coefficient));
            byOwnNorm.add(clipPerTensorNorm(tf, input, most));
            byValue.add(tf.clipByValue(input, tf.math.neg(most), most));
        }
        graph = newGraph;
        norm = total;
        threshold = most;
        session = new Session(newGraph);
    }

    @Override
    public FloatBuffer gradient(int tensor) {
        return memory.get(tensor);
    }

    @Override
    public FloatBuffer clipped(int tensor) {
        if (result == null || !hasCopies) return gradient(tensor);
        return ((TFloat32) result.get(tensor)).asRawTensor().data().asFloats().accept(new Memory());
    }

    /** {@code values * most / max(norm, most)}, where the norm of zeros is not a square root. */
    private static Operand<TFloat32> clipPerTensorNorm(Ops tf, Operand<TFloat32> values, Operand<TFloat32> most) {
        Operand<TFloat32> squares = tf.reduceSum(tf.math.mul(values, values), tf.constant(0), ReduceSum.keepDims(true));
        Operand<TBool> isPositive = tf.math.greater(squares, tf.constant(0f));
        Operand<TFloat32> safe = tf.select(isPositive, squares, tf.onesLike(squares));
        Operand<TFloat32> norm = tf.select(isPositive, tf.math.sqrt(safe), squares);
        return tf.math.div(tf.math.mul(values, most), tf.math.maximum(norm, most));
    }

    @Override
    public double globalNorm() {
        return number(run(List.of(), norm, 1), 0);
    }

    @Override
    public double clipByGlobalNorm(double maxNorm) {
        return number(run(byNorm, norm, maxNorm), gradients.size());
    }

    @Override
    public void clipPerTensorNorm(double maxNorm) {
        run(byOwnNorm, null, maxNorm);
    }

    @Override
    public void clipByValue(double limit) {
        run(byValue, null, limit);
    }

    private static double number(Result result, int place) {
        return ((TFloat32) result.get(place)).getFloat();
    }

    /** Fetches what is clipped, and then one more unless that is null. */
    private Result run(List<? extends Operand<TFloat32>> clipped, @Nullable Operand<TFloat32> more, double most) {
        if (session == null || threshold == null) throw new IllegalStateException("not bound");
        forget();
        try (TFloat32 number = TFloat32.scalarOf((float) most)) {
            Session.Runner runner = session.runner().feed(threshold, number);
            for (int i = 0; i < inputs.size(); i++) runner.feed(inputs.get(i), gradients.get(i));
            for (Operand<TFloat32> one : clipped) runner.fetch(one);
            if (more != null) runner.fetch(more);
            Result outcome = runner.run();
            result = outcome;
            hasCopies = !clipped.isEmpty();
            return outcome;
        }
    }

    private void forget() {
        if (result != null) result.close();
        result = null;
    }

    @Override
    public void close() {
        forget();
        if (session != null) session.close();
        if (graph != null) graph.close();
        gradients.forEach(TFloat32::close);
    }
}
