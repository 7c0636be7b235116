// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.dl4j;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.gradclip.Backend;
import dev.gradclip.ClipEvent;
import dev.gradclip.ClipRule;
import dev.gradclip.GradientClipperBuilder;
import dev.gradclip.HelperThreads;
import dev.gradclip.NonFiniteGradientException;
import dev.gradclip.NonFinitePolicy;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.function.Consumer;
import org.deeplearning4j.nn.api.Model;
import org.deeplearning4j.nn.conf.NeuralNetConfiguration;
import org.deeplearning4j.nn.conf.graph.ElementWiseVertex;
import org.deeplearning4j.nn.conf.inputs.InputType;
import org.deeplearning4j.nn.conf.layers.BatchNormalization;
import org.deeplearning4j.nn.conf.layers.DenseLayer;
import org.deeplearning4j.nn.conf.layers.OutputLayer;
import org.deeplearning4j.nn.conf.layers.misc.FrozenLayer;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.deeplearning4j.optimize.api.TrainingListener;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.nd4j.linalg.activations.Activation;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.dataset.DataSet;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.learning.config.Sgd;

/**
 * Small networks train; with plain descent at rate 1 a step moves the parameters by the gradient that the updater saw.
 */
class ClippingListenerTest {
    private static final int EXAMPLES = 16;
    private static final double MAX_NORM = 0.01;

    private static DataSet data() {
        Nd4j.getRandom().setSeed(3);
        INDArray labels = Nd4j.zeros(DataType.FLOAT, EXAMPLES, 3);
        for (int i = 0; i < EXAMPLES; i++) labels.putScalar(i, i % 3, 1);
        return new DataSet(Nd4j.randn(DataType.FLOAT, EXAMPLES, 5).muli(3), labels);
    }

    private static NeuralNetConfiguration.Builder settings() {
        return new NeuralNetConfiguration.Builder().seed(7).updater(new Sgd(1.0));
    }

    private static DenseLayer dense() {
        return new DenseLayer.Builder().nOut(8).activation(Activation.TANH).build();
    }

    private static OutputLayer output() {
        return new OutputLayer.Builder().nOut(3).activation(Activation.SOFTMAX).build();
    }

    private static MultiLayerNetwork network(NeuralNetConfiguration.Builder settings, TrainingListener... listeners) {
        MultiLayerNetwork network = new MultiLayerNetwork(settings.list()
                .layer(dense())
                .layer(new BatchNormalization())
                .layer(dense())
                .layer(output())
                .setInputType(InputType.feedForward(5))
                .build());
        network.init();
        network.setListeners(listeners);
        return network;
    }

    private static ComputationGraph graph(TrainingListener... listeners) {
        ComputationGraph graph = new ComputationGraph(settings()
                .graphBuilder()
                .addInputs("in")
                .addLayer("first_one", dense(), "in")
                .addLayer("norm", new BatchNormalization(), "first_one")
                .addVertex("sum", new ElementWiseVertex(ElementWiseVertex.Op.Add), "first_one", "norm")
                .addLayer("out", output(), "sum")
                .setOutputs("out")
                .setInputTypes(InputType.feedForward(5))
                .build());
        graph.init();
        graph.setListeners(listeners);
        return graph;
    }

    private static Map<String, INDArray> parameters(Model model) {
        Map<String, INDArray> copies = new TreeMap<>();
        model.paramTable().forEach((name, array) -> copies.put(name, array.dup()));
        return copies;
    }

    /** The distance that a step moved the parameters, running means and variances apart. */
    private static double moved(Map<String, INDArray> before, Model model) {
        double sum = 0;
        for (Map.Entry<String, INDArray> now : model.paramTable().entrySet()) {
            if (isStatistic(now.getKey())) continue;
            INDArray was = Objects.requireNonNull(before.get(now.getKey()));
            double norm = now.getValue()
                    .sub(was)
                    .castTo(DataType.DOUBLE)
                    .norm2Number()
                    .doubleValue();
            sum += norm * norm;
        }
        return Math.sqrt(sum);
    }

    private static boolean isStatistic(String name) {
        return name.endsWith("_mean") || name.endsWith("_var") || name.endsWith("_log10stdev");
    }

    private static double step(MultiLayerNetwork network) {
        Map<String, INDArray> before = parameters(network);
        network.fit(data());
        return moved(before, network);
    }

    private static double step(ComputationGraph graph) {
        Map<String, INDArray> before = parameters(graph);
        graph.fit(data());
        return moved(before, graph);
    }

    @Test
    void aNetworkMovesByTheGlobalNormOfItsMeanGradient() {
        double without = step(network(settings()));
        assertTrue(without > 10 * MAX_NORM, "nothing to clip: " + without);
        ClippingListener listener = new ClippingListener(ClipRule.globalNorm(MAX_NORM));
        MultiLayerNetwork network = network(settings(), listener);
        assertEquals(MAX_NORM, step(network), 1e-4 * MAX_NORM);
        assertEquals(
                without,
                listener.globalNorm(),
                1e-5 * without,
                "the norm is that of the mean, batch statistics left " + "out");
        for (int i = 0; i < 3; i++) assertEquals(MAX_NORM, step(network), 1e-3 * MAX_NORM);
        assertEquals(8, Objects.requireNonNull(listener.latest()).tensors());
    }

    @Test
    void aGraphMovesByTheGlobalNormOfItsMeanGradient() {
        double without = step(graph());
        assertTrue(without > 10 * MAX_NORM, "nothing to clip: " + without);
        ClippingListener listener = new ClippingListener(ClipRule.globalNorm(MAX_NORM));
        ComputationGraph graph = graph(listener);
        assertEquals(MAX_NORM, step(graph), 1e-4 * MAX_NORM);
        assertEquals(without, listener.globalNorm(), 1e-5 * without);
        assertEquals(6, Objects.requireNonNull(listener.latest()).tensors());
        for (int i = 0; i < 3; i++) assertEquals(MAX_NORM, step(graph), 1e-3 * MAX_NORM);
    }

    @Test
    void runningMeanAndVarianceMoveAsWithoutClipping() {
        MultiLayerNetwork plain = network(settings());
        MultiLayerNetwork clipped = network(settings(), new ClippingListener(ClipRule.globalNorm(0)));
        INDArray first = clipped.getParam("1_mean").dup();
        step(plain);
        assertEquals(0, step(clipped), "a threshold of 0 stops what is trained");
        assertNotEquals(first, clipped.getParam("1_mean"));
        assertEquals(plain.getParam("1_mean"), clipped.getParam("1_mean"));
        assertEquals(plain.getParam("1_var"), clipped.getParam("1_var"));
    }

    @Test
    void withoutMinibatchDivisionTheThresholdIsThatOfTheSum() {
        ClippingListener listener = new ClippingListener(ClipRule.globalNorm(MAX_NORM));
        assertEquals(MAX_NORM, step(network(settings().miniBatch(false), listener)), 1e-4 * MAX_NORM);
        double sum = listener.globalNorm();
        step(network(settings(), listener));
        assertEquals(sum / EXAMPLES, listener.globalNorm(), 1e-5 * sum);
    }

    @Test
    void eachRuleIsOneForTheMean() {
        ClippingListener value = new ClippingListener(ClipRule.value(1e-4));
        MultiLayerNetwork network = network(settings(), value);
        Map<String, INDArray> before = parameters(network);
        step(network);
        INDArray moved = network.getParam("0_W").sub(before.get("0_W"));
        assertEquals(1e-4, moved.amaxNumber().doubleValue(), 1e-7);
        ClippingListener perTensor = new ClippingListener(ClipRule.perTensorNorm(1e-3));
        network = network(settings(), perTensor);
        before = parameters(network);
        step(network);
        moved = network.getParam("3_W").sub(before.get("3_W"));
        assertEquals(1e-3, moved.norm2Number().doubleValue(), 1e-6);
    }

    @Test
    void aFrozenLayerStaysAndIsNotMeasured() {
        ClippingListener listener = new ClippingListener(ClipRule.globalNorm(MAX_NORM));
        MultiLayerNetwork network = new MultiLayerNetwork(settings()
                .list()
                .layer(new FrozenLayer(dense()))
                .layer(output())
                .setInputType(InputType.feedForward(5))
                .build());
        network.init();
        network.setListeners(listener);
        assertEquals(MAX_NORM, step(network), 1e-4 * MAX_NORM);
        assertEquals(2, Objects.requireNonNull(listener.latest()).tensors());
    }

    @Test
    void oneListenerForAnotherNetworkAndAnotherBatchSize() {
        ClippingListener listener = new ClippingListener(ClipRule.globalNorm(MAX_NORM));
        assertEquals(MAX_NORM, step(network(settings(), listener)), 1e-4 * MAX_NORM);
        ComputationGraph graph = graph(listener);
        assertEquals(MAX_NORM, step(graph), 1e-4 * MAX_NORM);
        Map<String, INDArray> before = parameters(graph);
        DataSet few = data();
        graph.fit((DataSet) few.getRange(0, 5));
        assertEquals(MAX_NORM, moved(before, graph), 1e-3 * MAX_NORM);
    }

    @Test
    void aListenerHearsOfTheMeanGradient() {
        List<ClipEvent> heard = new ArrayList<>();
        ClippingListener listener =
                new ClippingListener(ClipRule.globalNorm(MAX_NORM), settings -> settings.listener(heard::add));
        MultiLayerNetwork network = network(settings(), listener);
        for (int i = 0; i < 3; i++) {
            step(network);
            assertEquals(listener.globalNorm(), heard.get(i).globalNorm());
            assertEquals(i, heard.get(i).step());
            assertTrue(heard.get(i).clipped());
            assertEquals(MAX_NORM, heard.get(i).globalNorm() * heard.get(i).coefficient(), 1e-4 * MAX_NORM);
        }
        assertEquals(3, heard.size());
        ClippingListener value = new ClippingListener(ClipRule.value(1e-4), settings -> settings.listener(heard::add));
        step(network(settings(), value));
        assertTrue(Double.isNaN(heard.get(3).globalNorm()) && heard.get(3).clipped(), heard.toString());
    }

    @Test
    void threadsOfThisLibrarysOwnInsteadOfNd4js() throws InterruptedException {
        assumeTrue(Backend.NATIVE.isAvailable(), "plain Java finds no OpenMP threads");
        assumeTrue(Runtime.getRuntime().availableProcessors() > 1, "ND4J has one thread");
        assertEquals(0, helpers(settings -> settings.threads(1)));
        assertTrue(helpers(settings -> {}) > 0, "ND4J's threads");
    }

    /** The number of ND4J's threads that helped a training thread of its own. */
    private static int helpers(Consumer<GradientClipperBuilder> settings) throws InterruptedException {
        MultiLayerNetwork network = new MultiLayerNetwork(settings()
                .list()
                .layer(new DenseLayer.Builder().nOut(1024).build())
                .layer(new OutputLayer.Builder()
                        .nOut(1024)
                        .activation(Activation.SOFTMAX)
                        .build())
                .setInputType(InputType.feedForward(1024))
                .build());
        network.init();
        network.setInput(Nd4j.ones(DataType.FLOAT, 2, 1024));
        network.setLabels(Nd4j.ones(DataType.FLOAT, 2, 1024));
        network.computeGradientAndScore();
        ClippingListener listener = new ClippingListener(ClipRule.globalNorm(Double.POSITIVE_INFINITY), settings);
        return HelperThreads.of(() -> {
                    for (int i = 0; i < 20; i++) listener.onGradientCalculation(network);
                })
                .size();
    }

    @Test
    void settingsThatCannotBe() {
        String said = String.valueOf(assertThrows(
                        IllegalArgumentException.class,
                        () -> new ClippingListener(ClipRule.globalNorm(1), settings -> settings.threads(0)))
                .getMessage());
        assertTrue(said.contains("threads must be 1 or more"), said);
    }

    @Test
    void whatIsNotFinite() {
        ClipRule strict = ClipRule.globalNorm(1).withNonFinitePolicy(NonFinitePolicy.ERROR);
        MultiLayerNetwork network = network(settings(), new ClippingListener(strict));
        DataSet bad = data();
        bad.getFeatures().putScalar(0, 0, Double.NaN);
        Map<String, INDArray> before = parameters(network);
        assertThrows(NonFiniteGradientException.class, () -> network.fit(bad));
        assertEquals(0, moved(before, network));
        ClippingListener skip = new ClippingListener(strict.withNonFinitePolicy(NonFinitePolicy.SKIP));
        network(settings(), skip).fit(bad);
        assertTrue(Objects.requireNonNull(skip.latest()).nonFinite());
        assertFalse(skip.latest().clipped());
    }

    /** The norms that a rule remembers are saved, and another listener goes on with them. */
    @Test
    void aHistoryGoesOnInAnotherListener(@TempDir Path folder) throws IOException {
        ClippingListener first = new ClippingListener(ClipRule.autoClip(10));
        assertThrows(IllegalStateException.class, first::history);
        MultiLayerNetwork network = network(settings(), first);
        for (int i = 0; i < 3; i++) step(network);
        first.history().save(folder.resolve("history.safetensors"));
        ClippingListener second = new ClippingListener(ClipRule.autoClip(10));
        step(network(settings(), second));
        assertEquals(1, second.history().steps());
        second.history().load(folder.resolve("history.safetensors"));
        assertEquals(3, second.history().steps());
        assertEquals(first.history().threshold(), second.history().threshold());
        ClippingListener without = new ClippingListener(ClipRule.globalNorm(1));
        step(network(settings(), without));
        assertThrows(IllegalArgumentException.class, without::history);
    }
}
