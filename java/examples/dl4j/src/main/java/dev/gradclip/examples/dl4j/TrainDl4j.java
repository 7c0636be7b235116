// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.dl4j;

import dev.gradclip.ClipRule;
import dev.gradclip.dl4j.ClippingListener;
import java.util.Locale;
import org.deeplearning4j.nn.api.Model;
import org.deeplearning4j.nn.conf.NeuralNetConfiguration;
import org.deeplearning4j.nn.conf.inputs.InputType;
import org.deeplearning4j.nn.conf.layers.BatchNormalization;
import org.deeplearning4j.nn.conf.layers.DenseLayer;
import org.deeplearning4j.nn.conf.layers.OutputLayer;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.deeplearning4j.optimize.api.BaseTrainingListener;
import org.nd4j.linalg.activations.Activation;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.dataset.DataSet;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.learning.config.Sgd;

/**
 * Trains a small network on data that is far too large for it, and prints the norms before and after each clip; {@code
 * --time}.
 */
public final class TrainDl4j {
    static final int EXAMPLES = 32;

    private TrainDl4j() {}

    /** The program. */
    public static void main(String[] args) {
        if (args.length == 1 && args[0].equals("--time")) {
            TimeDl4j.print(64);
            TimeDl4j.print(1024);
            return;
        }
        MultiLayerNetwork network = network(64);
        ClippingListener clipping = new ClippingListener(ClipRule.globalNorm(1.0));
        // Listeners are called in turn: this one measures what the first has left.
        ClippingListener after = new ClippingListener(ClipRule.globalNorm(Double.POSITIVE_INFINITY));
        network.setListeners(clipping, after, new BaseTrainingListener() {
            @Override
            public void iterationDone(Model model, int iteration, int epoch) {
                System.out.printf(
                        Locale.ROOT,
                        "step %d: loss %.3f, norm %.3f before and %.3f after%n",
                        iteration,
                        model.score(),
                        clipping.globalNorm(),
                        after.globalNorm());
            }
        });
        DataSet data = data(64);
        for (int step = 0; step < 10; step++) network.fit(data);
    }

    static MultiLayerNetwork network(int units) {
        NeuralNetConfiguration.ListBuilder layers = new NeuralNetConfiguration.Builder()
                .seed(7)
                .updater(new Sgd(0.05))
                .list();
        for (int layer = 0; layer < 3; layer++) {
            layers.layer(new DenseLayer.Builder()
                    .nOut(units)
                    .activation(Activation.RELU)
                    .build());
        }
        MultiLayerNetwork network = new MultiLayerNetwork(layers.layer(new BatchNormalization())
                .layer(new OutputLayer.Builder()
                        .nOut(10)
                        .activation(Activation.SOFTMAX)
                        .build())
                .setInputType(InputType.feedForward(units))
                .build());
        network.init();
        return network;
    }

    static DataSet data(int inputs) {
        INDArray labels = Nd4j.zeros(DataType.FLOAT, EXAMPLES, 10);
        for (int i = 0; i < EXAMPLES; i++) labels.putScalar(i, i % 10, 1);
        return new DataSet(Nd4j.randn(DataType.FLOAT, EXAMPLES, inputs).muli(100), labels);
    }
}
