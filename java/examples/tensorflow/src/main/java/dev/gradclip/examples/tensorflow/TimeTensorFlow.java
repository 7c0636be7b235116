// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.tensorflow;

import dev.gradclip.examples.timing.StepTimer;
import dev.gradclip.examples.timing.StepTimer.Part;
import dev.gradclip.tensorflow.ClippedGradients;
import dev.gradclip.tensorflow.TensorFlowClipper;
import java.util.ArrayList;
import java.util.List;
import org.tensorflow.Operand;
import org.tensorflow.Result;
import org.tensorflow.Session;
import org.tensorflow.framework.optimizers.Optimizer.GradAndVar;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.family.TType;

/** Times what a clip that scales adds to a whole step, for a graph's clip can't be timed alone. */
final class TimeTensorFlow {
    private static final double MAX_NORM = 1e-3;

    private TimeTensorFlow() {}

    static void print(int units) {
        try (SmallGraph plain = new SmallGraph(units);
                SmallGraph inGraph = new SmallGraph(units);
                SmallGraph twice = new SmallGraph(units);
                SmallGraph ours = new SmallGraph(units);
                SmallGraph apart = new SmallGraph(units);
                TensorFlowClipper unused = clipper(twice);
                TensorFlowClipper clipper = clipper(ours);
                StepParts parts = new StepParts(apart)) {
            Op minimize = plain.optimizer.minimize(plain.loss);
            Op clipping = inGraph.optimizer.applyGradients(inGraph(inGraph), "clipped");
            List<GradAndVar<?>> raw = twice.optimizer.computeGradients(twice.loss);
            Op applyRaw = twice.optimizer.applyGradients(unused.gradients(), "raw");
            Op apply = ours.optimizer.applyGradients(clipper.gradients(), "train");
            for (SmallGraph each : List.of(plain, inGraph, twice, ours, apart)) each.initialize();
            Runnable nothing = () -> {};
            new StepTimer()
                    .add(
                            "step without a clip, one run",
                            nothing,
                            () -> plain.onExamples().addTarget(minimize).run().close())
                    .add(
                            "step with tf.clip_by_global_norm as a graph, one run",
                            nothing,
                            () -> inGraph.onExamples().addTarget(clipping).run().close())
                    .add(
                            "step of two runs, fetched and fed without a copy or a clip",
                            nothing,
                            () -> twoRuns(twice, raw, unused.gradients(), applyRaw))
                    .add("gradclip: step of two runs with a copy and a clip", nothing, () -> step(ours, clipper, apply))
                    .add(
                            "gradclip: the same in parts",
                            nothing,
                            new Part("run backward, copies among it", parts::backward),
                            new Part("collect", parts::collect),
                            new Part("rebind", parts::rebind),
                            new Part("clip", () -> parts.clip(MAX_NORM)),
                            new Part("run the update", parts::update))
                    .print(
                            StepTimer.size(
                                    plain.shapes.stream().mapToLong(Shape::size).toArray()),
                            14);
        }
    }

    private static TensorFlowClipper clipper(SmallGraph model) {
        return TensorFlowClipper.of(model.graph, model.optimizer.computeGradients(model.loss));
    }

    private static void step(SmallGraph model, TensorFlowClipper clipper, Op apply) {
        try (ClippedGradients clipped = clipper.clipByGlobalNorm(model.onExamples(), MAX_NORM)) {
            clipped.feed(model.runner()).addTarget(apply).run().close();
        }
    }

    private static void twoRuns(
            SmallGraph model, List<GradAndVar<?>> raw, List<GradAndVar<? extends TType>> inputs, Op apply) {
        Session.Runner backward = model.onExamples();
        for (GradAndVar<?> gradient : raw) backward.fetch(gradient.getGradient());
        try (Result fetched = backward.run()) {
            Session.Runner update = model.runner();
            for (int i = 0; i < inputs.size(); i++) update.feed(inputs.get(i).getGradient(), fetched.get(i));
            update.addTarget(apply).run().close();
        }
    }

    /** The graph that {@code tf.clip_by_global_norm} builds. */
    private static List<GradAndVar<? extends TType>> inGraph(SmallGraph model) {
        Ops tf = model.tf;
        List<GradAndVar<TFloat32>> gradients = new ArrayList<>();
        List<Operand<TFloat32>> halfSquares = new ArrayList<>();
        for (GradAndVar<?> one : model.optimizer.computeGradients(model.loss)) {
            @SuppressWarnings("unchecked") // every variable of this graph is one
            GradAndVar<TFloat32> gradient = (GradAndVar<TFloat32>) one;
            gradients.add(gradient);
            halfSquares.add(tf.nn.l2Loss(gradient.getGradient()));
        }
        Operand<TFloat32> norm = tf.math.sqrt(tf.math.mul(tf.math.addN(halfSquares), tf.constant(2f)));
        Operand<TFloat32> most = tf.constant((float) MAX_NORM);
        Operand<TFloat32> coefficient = tf.math.minimum(tf.constant(1f), tf.math.div(most, norm));
        List<GradAndVar<? extends TType>> clipped = new ArrayList<>();
        for (GradAndVar<TFloat32> gradient : gradients) {
            clipped.add(new GradAndVar<>(
                    tf.math.mul(gradient.getGradient(), coefficient).asOutput(), gradient.getVariable()));
        }
        return clipped;
    }
}
