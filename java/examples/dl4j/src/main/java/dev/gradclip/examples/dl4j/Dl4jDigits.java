// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.dl4j;

import dev.gradclip.ClipResult;
import dev.gradclip.ClipRule;
import dev.gradclip.demo.Batch;
import dev.gradclip.demo.Framework;
import dev.gradclip.demo.FrameworkNetwork;
import dev.gradclip.dl4j.ClippingListener;
import org.deeplearning4j.nn.conf.MultiLayerConfiguration;
import org.deeplearning4j.nn.conf.NeuralNetConfiguration;
import org.deeplearning4j.nn.conf.inputs.InputType;
import org.deeplearning4j.nn.conf.layers.LSTM;
import org.deeplearning4j.nn.conf.layers.OutputLayer;
import org.deeplearning4j.nn.conf.layers.recurrent.LastTimeStep;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.jspecify.annotations.Nullable;
import org.nd4j.linalg.activations.Activation;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.dataset.DataSet;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.learning.config.Sgd;

/** The digits of {@code gradclip demo --framework dl4j}: DL4J's LSTM, clipped by {@link ClippingListener}. */
public final class Dl4jDigits implements Framework {
    private static final int UNITS = 32;
    private static final double LEARNING_RATE = 20;

    @Override
    public String name() {
        return "dl4j";
    }

    @Override
    public String model() {
        return "an LSTM of DL4J reads images row by row";
    }

    @Override
    public double learningRate() {
        return LEARNING_RATE;
    }

    @Override
    public int stepsASecond() {
        return 30;
    }

    @Override
    public FrameworkNetwork network(int rows, int columns, int classes, @Nullable ClipRule rule, long seed) {
        MultiLayerConfiguration settings = new NeuralNetConfiguration.Builder()
                .seed(seed)
                .updater(new Sgd(LEARNING_RATE))
                .list()
                .layer(new LastTimeStep(new LSTM.Builder()
                        .nOut(UNITS)
                        .activation(Activation.TANH)
                        .build()))
                .layer(new OutputLayer.Builder()
                        .nOut(classes)
                        .activation(Activation.SOFTMAX)
                        .build())
                .setInputType(InputType.recurrent(columns, rows))
                .build();
        return new Network(new MultiLayerNetwork(settings), classes, rule);
    }

    private static final class Network implements FrameworkNetwork {
        private final MultiLayerNetwork network;
        private final int classes;
        /** Clips nothing: it is there for the norm, which a clip by value does not measure. */
        private final ClippingListener measure = new ClippingListener(ClipRule.globalNorm(Double.POSITIVE_INFINITY));

        private final @Nullable ClippingListener clip;

        Network(MultiLayerNetwork network, int classes, @Nullable ClipRule rule) {
            this.network = network;
            this.classes = classes;
            clip = rule == null ? null : new ClippingListener(rule);
            network.init();
            network.setListeners(measure);
            if (clip != null) network.addListeners(clip);
        }

        /** DL4J wants the steps last. */
        private static INDArray images(Batch batch) {
            return Nd4j.create(batch.pixels(), new long[] {batch.size(), batch.rows(), batch.columns()}, DataType.FLOAT)
                    .permute(0, 2, 1)
                    .dup('f');
        }

        @Override
        public Step step(Batch batch) {
            INDArray labels = Nd4j.zeros(DataType.FLOAT, batch.size(), classes);
            for (int i = 0; i < batch.size(); i++) labels.putScalar(i, batch.labels()[i], 1);
            network.fit(new DataSet(images(batch), labels));
            ClipResult latest = clip == null ? null : clip.latest();
            return new Step(network.score(), measure.globalNorm(), latest != null && latest.clipped());
        }

        @Override
        public int errors(Batch batch) {
            INDArray told = network.output(images(batch)).argMax(1);
            int errors = 0;
            for (int i = 0; i < batch.size(); i++) if (told.getInt(i) != batch.labels()[i]) errors++;
            return errors;
        }

        @Override
        public void close() {
            network.close();
        }
    }
}
