// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.tensorflow;

import dev.gradclip.GradientClipper;
import dev.gradclip.HostBuffer;
import dev.gradclip.adapter.StepClipper;
import dev.gradclip.tensorflow.TensorFlowBuffers;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.Result;
import org.tensorflow.Session;
import org.tensorflow.framework.optimizers.Optimizer.GradAndVar;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Placeholder;
import org.tensorflow.types.family.TType;

/** The parts of a step of {@code TensorFlowClipper}, one by one, with the same parts of the library. */
final class StepParts implements AutoCloseable {
    private final SmallGraph model;
    private final List<String> names = new ArrayList<>();
    private final List<Operand<?>> copies = new ArrayList<>();
    private final List<GradAndVar<? extends TType>> inputs = new ArrayList<>();
    private final Op apply;
    private final StepClipper binding = new StepClipper();
    private List<HostBuffer> buffers = List.of();
    private @Nullable Result fetched;
    private @Nullable GradientClipper bound;

    StepParts(SmallGraph model) {
        this.model = model;
        for (GradAndVar<?> gradient : model.optimizer.computeGradients(model.loss)) add(model.tf, gradient);
        apply = model.optimizer.applyGradients(inputs, "parts");
    }

    private <T extends TType> void add(Ops tf, GradAndVar<T> gradient) {
        Output<T> computed = gradient.getGradient();
        names.add(gradient.getVariable().op().name());
        copies.add(tf.deepCopy(computed));
        Placeholder<T> input = tf.placeholder(computed.type(), Placeholder.shape(computed.shape()));
        inputs.add(new GradAndVar<>(input.asOutput(), gradient.getVariable()));
    }

    void backward() {
        Session.Runner runner = model.onExamples();
        for (Operand<?> copy : copies) runner.fetch(copy);
        fetched = runner.run();
    }

    void collect() {
        buffers = new ArrayList<>(copies.size());
        for (int i = 0; i < copies.size(); i++)
            buffers.add(TensorFlowBuffers.wrap(fetched().get(i)));
    }

    void rebind() {
        bound = binding.bind(names, buffers);
    }

    void clip(double maxNorm) {
        Objects.requireNonNull(bound).clipByGlobalNorm(maxNorm);
    }

    void update() {
        Session.Runner runner = model.runner();
        for (int i = 0; i < inputs.size(); i++)
            runner.feed(inputs.get(i).getGradient(), fetched().get(i));
        runner.addTarget(apply).run().close();
        fetched().close();
    }

    private Result fetched() {
        return Objects.requireNonNull(fetched);
    }

    @Override
    public void close() {
        binding.close();
    }
}
