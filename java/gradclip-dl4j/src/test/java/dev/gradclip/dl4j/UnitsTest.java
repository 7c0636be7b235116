// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.dl4j;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.ClipRule;
import dev.gradclip.Scope;
import java.util.Map;
import java.util.TreeMap;
import org.deeplearning4j.nn.api.Model;
import org.deeplearning4j.nn.conf.NeuralNetConfiguration;
import org.deeplearning4j.nn.conf.inputs.InputType;
import org.deeplearning4j.nn.conf.layers.ConvolutionLayer;
import org.deeplearning4j.nn.conf.layers.DenseLayer;
import org.deeplearning4j.nn.conf.layers.OutputLayer;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.junit.jupiter.api.Test;
import org.nd4j.linalg.activations.Activation;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.dataset.DataSet;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.indexing.NDArrayIndex;
import org.nd4j.linalg.learning.config.Sgd;

/** Units are the outputs of a layer: with plain descent at rate 1 a unit's weights move by its clipped gradient. */
class UnitsTest {
    private static final int EXAMPLES = 12;
    private static final double LAMBDA = 0.01;

    private static DataSet data() {
        Nd4j.getRandom().setSeed(3);
        INDArray labels = Nd4j.zeros(DataType.FLOAT, EXAMPLES, 3);
        for (int i = 0; i < EXAMPLES; i++) labels.putScalar(i, i % 3, 1);
        return new DataSet(Nd4j.randn(DataType.FLOAT, EXAMPLES, 36).muli(3), labels);
    }

    private static NeuralNetConfiguration.Builder settings() {
        return new NeuralNetConfiguration.Builder()
                .seed(7)
                .updater(new Sgd(1.0))
                .activation(Activation.TANH);
    }

    private static ConvolutionLayer kernels() {
        return new ConvolutionLayer.Builder(3, 3).nOut(4).build();
    }

    private static OutputLayer output() {
        return new OutputLayer.Builder().nOut(3).activation(Activation.SOFTMAX).build();
    }

    private static MultiLayerNetwork network(ClippingListener listener) {
        MultiLayerNetwork network = new MultiLayerNetwork(settings()
                .list()
                .layer(kernels())
                .layer(new DenseLayer.Builder().nOut(8).build())
                .layer(output())
                .setInputType(InputType.convolutionalFlat(6, 6, 1))
                .build());
        network.init();
        network.setListeners(listener);
        return network;
    }

    private static ComputationGraph graph(ClippingListener listener) {
        ComputationGraph graph = new ComputationGraph(settings()
                .graphBuilder()
                .addInputs("in")
                .addLayer("kernels", kernels(), "in")
                .addLayer("out", output(), "kernels")
                .setOutputs("out")
                .setInputTypes(InputType.convolutionalFlat(6, 6, 1))
                .build());
        graph.init();
        graph.setListeners(listener);
        return graph;
    }

    private static Map<String, INDArray> parameters(Model model) {
        Map<String, INDArray> copies = new TreeMap<>();
        model.paramTable().forEach((name, array) -> copies.put(name, array.dup()));
        return copies;
    }

    /** The weights that lead to one output: a kernel, a column, or all of a bias. */
    private static INDArray unit(INDArray parameter, int unit) {
        if (parameter.rank() == 4) return parameter.slice(unit);
        if (parameter.rank() < 2 || parameter.size(0) == 1) return parameter;
        return parameter.get(NDArrayIndex.all(), NDArrayIndex.point(unit));
    }

    private static int units(INDArray parameter) {
        if (parameter.rank() == 4) return (int) parameter.size(0);
        return parameter.rank() < 2 || parameter.size(0) == 1 ? 1 : (int) parameter.size(1);
    }

    private static double norm(INDArray array) {
        return array.castTo(DataType.DOUBLE).norm2Number().doubleValue();
    }

    private static void assertMoved(Map<String, INDArray> before, Model model, String what) {
        int adapted = 0;
        for (Map.Entry<String, INDArray> was : before.entrySet()) {
            INDArray now = model.getParam(was.getKey());
            for (int i = 0; i < units(now); i++) {
                String of = what + " " + was.getKey() + " unit " + i;
                double moved = norm(unit(now, i).sub(unit(was.getValue(), i)));
                if (what.equals("normalize")) {
                    assertEquals(0.5, moved, 1e-5, of);
                } else {
                    double most = LAMBDA * Math.max(norm(unit(was.getValue(), i)), 1e-3);
                    assertTrue(moved <= most * (1 + 1e-3), of + " moved by " + moved + ", above " + most);
                    if (moved > most * (1 - 1e-3)) adapted++;
                }
            }
        }
        if (what.equals("adaptive")) assertTrue(adapted >= 5, adapted + " units were clipped");
    }

    @Test
    void areTheOutputsOfEachLayer() {
        for (String what : new String[] {"normalize", "adaptive"}) {
            ClipRule rule = what.equals("adaptive")
                    ? ClipRule.adaptive(LAMBDA)
                    : ClipRule.normalize(0.5).withScope(Scope.ROW);
            MultiLayerNetwork network = network(new ClippingListener(rule).units());
            for (int step = 0; step < 2; step++) {
                Map<String, INDArray> before = parameters(network);
                network.fit(data());
                assertMoved(before, network, what);
            }
            ComputationGraph graph = graph(new ClippingListener(rule).units());
            Map<String, INDArray> before = parameters(graph);
            graph.fit(data());
            assertMoved(before, graph, what);
        }
    }

    @Test
    void adaptiveClippingWithoutUnitsSaysWhatIsMissing() {
        MultiLayerNetwork network = network(new ClippingListener(ClipRule.adaptive(LAMBDA)));
        String said = String.valueOf(assertThrows(IllegalArgumentException.class, () -> network.fit(data()))
                .getMessage());
        assertTrue(said.contains("adaptive clipping compares gradients with their parameters"), said);
    }
}
