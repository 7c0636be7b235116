// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.train;

import static org.bytedeco.pytorch.global.torch.cross_entropy;
import static org.bytedeco.pytorch.global.torch.manual_seed;

import dev.gradclip.ClipRule;
import dev.gradclip.Update;
import dev.gradclip.demo.Batch;
import dev.gradclip.demo.Framework;
import dev.gradclip.demo.FrameworkNetwork;
import dev.gradclip.javacpp.TorchClipper;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.LSTMImpl;
import org.bytedeco.pytorch.LSTMOptions;
import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.SGD;
import org.bytedeco.pytorch.SGDOptions;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * The digits of {@code gradclip demo --framework torch}: LibTorch's LSTM, clipped and updated by {@link TorchClipper}.
 */
public final class TorchDigits implements Framework {
    private static final int UNITS = 32;
    private static final double LEARNING_RATE = 20;
    private static final Update UPDATE = Update.sgd(LEARNING_RATE);

    @Override
    public String name() {
        return "torch";
    }

    @Override
    public String model() {
        return "an LSTM of LibTorch reads images row by row";
    }

    @Override
    public double learningRate() {
        return LEARNING_RATE;
    }

    @Override
    public int stepsASecond() {
        return 350;
    }

    @Override
    public FrameworkNetwork network(int rows, int columns, int classes, @Nullable ClipRule rule, long seed) {
        manual_seed(seed);
        return new Network(columns, classes, rule);
    }

    @SuppressWarnings("try") // scopes are there to be closed
    private static final class Network implements FrameworkNetwork {
        private final Module model = new Module("digits");
        private final LSTMImpl lstm;
        private final LinearImpl output;
        private final SGD optimizer;
        private final TorchClipper clipper;
        private final @Nullable ClipRule rule;

        Network(int columns, int classes, @Nullable ClipRule rule) {
            LSTMOptions options = new LSTMOptions(columns, UNITS);
            options.batch_first().put(true);
            lstm = model.register_module("lstm", new LSTMImpl(options));
            output = model.register_module("output", new LinearImpl(UNITS, classes));
            optimizer = new SGD(model.parameters(), new SGDOptions(LEARNING_RATE));
            clipper = TorchClipper.of(model);
            this.rule = rule;
        }

        private Tensor forward(Batch batch) {
            Tensor images = Tensor.create(batch.pixels(), batch.size(), batch.rows(), batch.columns());
            return output.forward(lstm.forward(images).get0().select(1, -1));
        }

        private static Tensor labels(Batch batch) {
            long[] labels = new long[batch.size()];
            for (int i = 0; i < labels.length; i++) labels[i] = batch.labels()[i];
            return Tensor.create(labels, labels.length);
        }

        @Override
        public Step step(Batch batch) {
            try (PointerScope scope = new PointerScope()) {
                optimizer.zero_grad();
                Tensor loss = cross_entropy(forward(batch), labels(batch));
                loss.backward();
                double norm = clipper.globalNorm();
                boolean clipped = false;
                if (rule == null) optimizer.step();
                else clipped = clipper.step(UPDATE, rule).clipped();
                return new Step(loss.item_double(), norm, clipped);
            }
        }

        @Override
        public int errors(Batch batch) {
            try (PointerScope scope = new PointerScope()) {
                Tensor told = forward(batch).argmax(new LongOptional(1), false);
                return told.ne(labels(batch)).sum().item_int();
            }
        }

        @Override
        public void close() {
            clipper.close();
            optimizer.close();
            model.close();
        }
    }
}
