// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.tensorflow;

import dev.gradclip.ClipResult;
import dev.gradclip.ClipRule;
import dev.gradclip.GradientClipper;
import dev.gradclip.GradientClipperBuilder;
import dev.gradclip.HostBuffer;
import dev.gradclip.adapter.OneThread;
import dev.gradclip.adapter.StepClipper;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.Result;
import org.tensorflow.Session;
import org.tensorflow.framework.optimizers.Optimizer.GradAndVar;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Placeholder;
import org.tensorflow.types.family.TType;

/**
 * Clips the gradients of a TensorFlow graph. There they are symbols: one run computes and fetches them, they are
 * clipped in the memory that was fetched, and a second run applies them.
 *
 * <p>Each gradient is copied once, in the graph: what a session gives out may be the memory of a constant or a
 * variable. Fetching and feeding copy nothing.
 *
 * <pre>{@code
 * try (TensorFlowClipper clipper = TensorFlowClipper.of(graph, optimizer.computeGradients(loss))) {
 *     Op train = optimizer.applyGradients(clipper.gradients(), "train");
 *     session.initialize();
 *     for (…) {
 *         try (ClippedGradients clipped = clipper.clipByGlobalNorm(session.runner().feed(x, features), 1.0)) {
 *             clipped.feed(session.runner()).addTarget(train).run();
 *         }
 *     }
 * }
 * }</pre>
 */
public final class TensorFlowClipper implements AutoCloseable {
    private final List<String> names = new ArrayList<>();
    private final List<Operand<?>> computed = new ArrayList<>();
    private final List<GradAndVar<? extends TType>> clipped = new ArrayList<>();
    private final StepClipper clippers;
    private final OneThread use = new OneThread();

    private TensorFlowClipper(
            Graph graph, List<? extends GradAndVar<?>> gradients, Consumer<GradientClipperBuilder> settings) {
        clippers = new StepClipper(GradientClipper::builder, settings);
        Ops tf = Ops.create(graph).withSubScope("gradclip");
        for (GradAndVar<?> gradient : gradients) {
            if (!gradient.getGradient().isClosed()) add(tf, gradient);
        }
    }

    private <T extends TType> void add(Ops tf, GradAndVar<T> gradient) {
        Output<T> computedGradient = gradient.getGradient();
        names.add(gradient.getVariable().op().name());
        computed.add(tf.deepCopy(computedGradient));
        Placeholder<T> input = tf.placeholder(computedGradient.type(), Placeholder.shape(computedGradient.shape()));
        clipped.add(new GradAndVar<>(input.asOutput(), gradient.getVariable()));
    }

    /**
     * Clips what {@code Optimizer.computeGradients(loss)} gave; adds a copy and a placeholder for each to the graph. A
     * variable that the loss does not depend on has no gradient, and is left out.
     */
    public static TensorFlowClipper of(Graph graph, List<? extends GradAndVar<?>> gradients) {
        return of(graph, gradients, settings -> {});
    }

    /**
     * Clips as {@link #of(Graph, List)} does, with a listener, a number of threads, another backend.
     *
     * <pre>{@code
     * TensorFlowClipper.of(graph, gradients, settings -> settings.listener(history).threads(1))
     * }</pre>
     *
     * @throws IllegalArgumentException if a setting can't be; the graph is as it was
     */
    public static TensorFlowClipper of(
            Graph graph, List<? extends GradAndVar<?>> gradients, Consumer<GradientClipperBuilder> settings) {
        return new TensorFlowClipper(graph, gradients, settings);
    }

    /** Variables' names in the order given: what a per-tensor index of a result means. */
    public List<String> names() {
        return List.copyOf(names);
    }

    /** The placeholders that the clipped gradients come in by, for {@code Optimizer.applyGradients}. */
    public List<GradAndVar<? extends TType>> gradients() {
        return List.copyOf(clipped);
    }

    /** Clips by {@link ClipRule#globalNorm}: {@link #clip}. */
    public ClippedGradients clipByGlobalNorm(Session.Runner backward, double maxNorm) {
        return clip(backward, ClipRule.globalNorm(maxNorm));
    }

    /** Clips by {@link ClipRule#perTensorNorm}: {@link #clip}. */
    public ClippedGradients clipPerTensorNorm(Session.Runner backward, double maxNorm) {
        return clip(backward, ClipRule.perTensorNorm(maxNorm));
    }

    /** Clips by {@link ClipRule#value(double)}: {@link #clip}. */
    public ClippedGradients clipByValue(Session.Runner backward, double limit) {
        return clip(backward, ClipRule.value(limit));
    }

    /**
     * Runs the graph for the gradients and clips them. Feed the runner what the loss needs; fetch from it what else is
     * wanted, as the loss.
     *
     * @throws IllegalArgumentException naming a variable whose gradient has elements of another type than DT_DOUBLE,
     *     DT_FLOAT, DT_HALF and DT_BFLOAT16
     * @throws dev.gradclip.NonFiniteGradientException under the policy ERROR
     * @throws IllegalStateException if the clipper is closed, or in use by another thread
     */
    public ClippedGradients clip(Session.Runner backward, ClipRule rule) {
        use.acquire();
        try {
            return clipFetched(backward, rule);
        } finally {
            use.release();
        }
    }

    private ClippedGradients clipFetched(Session.Runner backward, ClipRule rule) {
        for (Operand<?> gradient : computed) backward.fetch(gradient);
        Result fetched = backward.run();
        try {
            int first = fetched.size() - computed.size();
            List<HostBuffer> buffers = new ArrayList<>(computed.size());
            for (int i = 0; i < computed.size(); i++) {
                buffers.add(TensorFlowBuffers.wrap("the gradient of " + names.get(i), fetched.get(first + i)));
            }
            ClipResult result = clippers.bind(names, buffers).clip(rule);
            return new ClippedGradients(fetched, result, clipped);
        } catch (Throwable e) {
            fetched.close();
            throw e;
        }
    }

    /** Waits for a call under way on another thread, then refuses further calls. Closing again does nothing. */
    @Override
    public void close() {
        use.close(clippers::close);
    }
}
