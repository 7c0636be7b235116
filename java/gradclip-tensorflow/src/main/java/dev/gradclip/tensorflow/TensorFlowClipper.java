// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.tensorflow;

import dev.gradclip.ClipResult;
import dev.gradclip.ClipRule;
import dev.gradclip.GradientClipper;
import dev.gradclip.GradientClipperBuilder;
import dev.gradclip.HostBuffer;
import dev.gradclip.RuleHistory;
import dev.gradclip.adapter.OneThread;
import dev.gradclip.adapter.StepClipper;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
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
    private int unitsAxis;
    private boolean bindsUnits;

    /** The clipper of the latest clip. */
    private @Nullable GradientClipper latest;

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

    /**
     * Binds the units of each variable of two or more dimensions, which lie along its last axis, and every variable
     * beside its gradient: for {@code ClipRule.adaptive} and {@code ClipRule.perRowNorm}. The last axis has the outputs
     * of a dense layer's matrix and of a convolution's kernel. A bias is one unit. It counts from the next clip on,
     * which fetches the variables too; a variable is not copied.
     *
     * <pre>{@code
     * TensorFlowClipper clipper = TensorFlowClipper.of(graph, gradients).units();
     * clipper.clip(backward, ClipRule.adaptive(0.01)); // each step
     * }</pre>
     */
    public TensorFlowClipper units() {
        return units(-1);
    }

    /**
     * Binds units along another axis: {@link #units()}.
     *
     * @param axis from 0 on, or from the end, where -1 is the last; every variable of two or more dimensions has it
     */
    public TensorFlowClipper units(int axis) {
        use.acquire();
        try {
            unitsAxis = axis;
            bindsUnits = true;
        } finally {
            use.release();
        }
        return this;
    }

    /**
     * What the clipper remembers for a rule with a {@link dev.gradclip.History}, to be saved and loaded after the first
     * clip: {@link GradientClipper#history}.
     *
     * @throws IllegalArgumentException if the rule has no history
     * @throws IllegalStateException if nothing was clipped yet, or the clipper is closed or in use by another thread
     */
    public RuleHistory history(ClipRule rule) {
        use.acquire();
        try {
            GradientClipper clipper = latest;
            if (clipper == null) {
                throw new IllegalStateException("a history is kept by the names and types of gradients, which are"
                        + " known from the first clip on; clip once before");
            }
            return clipper.history(rule);
        } finally {
            use.release();
        }
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
        if (bindsUnits) for (GradAndVar<?> each : clipped) backward.fetch(each.getVariable());
        for (Operand<?> gradient : computed) backward.fetch(gradient);
        Result fetched = backward.run();
        try {
            int first = fetched.size() - computed.size();
            GradientClipper clipper = bind(fetched, first);
            latest = clipper;
            ClipResult result = clipper.clip(rule);
            return new ClippedGradients(fetched, result, clipped);
        } catch (Throwable e) {
            fetched.close();
            throw e;
        }
    }

    private GradientClipper bind(Result fetched, int first) {
        List<HostBuffer> buffers = wrap("the gradient of ", fetched, first);
        if (!bindsUnits) return clippers.bind(names, buffers);
        List<long[]> shapes = new ArrayList<>(names.size());
        for (int i = 0; i < names.size(); i++) {
            shapes.add(fetched.get(first + i).shape().asArray());
        }
        return clippers.bind(names, buffers, wrap("", fetched, first - names.size()), unitsAxis, shapes);
    }

    private List<HostBuffer> wrap(String what, Result fetched, int first) {
        List<HostBuffer> buffers = new ArrayList<>(names.size());
        for (int i = 0; i < names.size(); i++) {
            buffers.add(TensorFlowBuffers.wrap(what + names.get(i), fetched.get(first + i)));
        }
        return buffers;
    }

    /** Waits for a call under way on another thread, then refuses further calls. Closing again does nothing. */
    @Override
    public void close() {
        use.close(clippers::close);
    }
}
