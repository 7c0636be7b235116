// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.dl4j;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.ClipRule;
import dev.gradclip.Convention;
import dev.gradclip.GradientClipper;
import dev.gradclip.GradientClipperBuilder;
import dev.gradclip.Scope;
import java.util.List;
import org.deeplearning4j.nn.conf.GradientNormalization;
import org.deeplearning4j.nn.conf.NeuralNetConfiguration;
import org.deeplearning4j.nn.conf.inputs.InputType;
import org.deeplearning4j.nn.conf.layers.DenseLayer;
import org.deeplearning4j.nn.conf.layers.OutputLayer;
import org.deeplearning4j.nn.gradient.DefaultGradient;
import org.deeplearning4j.nn.gradient.Gradient;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.deeplearning4j.nn.updater.BaseMultiLayerUpdater;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.learning.config.Sgd;

/** Each {@code GradientNormalization} as DL4J's updater does it, and its rule here, on the same gradients. */
class GradientNormalizationTest {
    private static final double THRESHOLD = 0.5;

    /** ND4J's norm of at most 40 floats is within a few 2^-24, its product too. */
    private static final double FLOAT = 1e-6;

    private static ClipRule rule(GradientNormalization normalization) {
        return switch (normalization) {
            case ClipL2PerLayer ->
                ClipRule.globalNorm(THRESHOLD).withScope(Scope.GROUP).withConvention(Convention.DL4J);
            case ClipL2PerParamType -> ClipRule.perTensorNorm(THRESHOLD).withConvention(Convention.DL4J);
            case ClipElementWiseAbsoluteValue -> ClipRule.value(THRESHOLD);
            case RenormalizeL2PerLayer ->
                ClipRule.normalize(1).withScope(Scope.GROUP).withConvention(Convention.DL4J);
            case RenormalizeL2PerParamType ->
                ClipRule.normalize(1).withScope(Scope.TENSOR).withConvention(Convention.DL4J);
            case None -> throw new IllegalArgumentException("no rule");
        };
    }

    /** A network whose gradients are there. */
    private static MultiLayerNetwork network(GradientNormalization normalization) {
        MultiLayerNetwork network = new MultiLayerNetwork(new NeuralNetConfiguration.Builder()
                .seed(7)
                .updater(new Sgd(1.0))
                .gradientNormalization(normalization)
                .gradientNormalizationThreshold(THRESHOLD)
                .list()
                .layer(new DenseLayer.Builder().nOut(6).build())
                .layer(new DenseLayer.Builder().nOut(4).build())
                .layer(new OutputLayer.Builder().nOut(3).build())
                .setInputType(InputType.feedForward(5))
                .build());
        network.init();
        INDArray labels = Nd4j.zeros(DataType.FLOAT, 2, 3);
        labels.putScalar(0, 1, 1);
        labels.putScalar(1, 2, 1);
        network.setInput(Nd4j.ones(DataType.FLOAT, 2, 5));
        network.setLabels(labels);
        network.computeGradientAndScore();
        return network;
    }

    /** By DL4J's own code, layer by layer, on views of the network's gradients. */
    private static void updatersOwn(MultiLayerNetwork network) {
        BaseMultiLayerUpdater<?> updater = (BaseMultiLayerUpdater<?>) network.getUpdater();
        for (int i = 0; i < network.getnLayers(); i++) {
            Gradient layer = new DefaultGradient();
            for (String name : List.of("W", "b")) {
                layer.setGradientFor(name, network.gradient().getGradientFor(i + "_" + name));
            }
            updater.preApply(network.getLayer(i), layer, 0);
        }
    }

    /** A group a layer, a tensor a parameter. */
    private static GradientClipper clipper(MultiLayerNetwork network) {
        GradientClipperBuilder builder = GradientClipper.builder();
        for (int i = 0; i < network.getnLayers(); i++) {
            builder.group("layer " + i);
            for (String name : List.of("W", "b")) {
                String full = i + "_" + name;
                builder.add(full, Nd4jBuffers.wrap(network.gradient().getGradientFor(full)));
            }
        }
        return builder.build();
    }

    /** Layers whose norms differ by powers of ten; `odd` is one of the first layer's weights. */
    private static void fill(MultiLayerNetwork network, double odd, double scale) {
        Nd4j.getRandom().setSeed(11);
        for (int i = 0; i < network.getnLayers(); i++) {
            for (String name : List.of("W", "b")) {
                INDArray gradient = network.gradient().getGradientFor(i + "_" + name);
                gradient.assign(Nd4j.randn(DataType.FLOAT, gradient.shape()).muli(scale * Math.pow(10, -i)));
            }
        }
        if (odd != 1) network.gradient().getGradientFor("0_W").putScalar(3, odd);
    }

    private static float[] before(double odd, double scale) {
        MultiLayerNetwork network = network(GradientNormalization.None);
        fill(network, odd, scale);
        return network.getFlattenedGradients().toFloatVector();
    }

    private static float[] theirs(GradientNormalization normalization, double odd, double scale) {
        MultiLayerNetwork network = network(normalization);
        fill(network, odd, scale);
        updatersOwn(network);
        return network.getFlattenedGradients().toFloatVector();
    }

    private static float[] ours(GradientNormalization normalization, double odd, double scale) {
        MultiLayerNetwork network = network(GradientNormalization.None);
        fill(network, odd, scale);
        try (GradientClipper clipper = clipper(network)) {
            clipper.clip(rule(normalization));
        }
        return network.getFlattenedGradients().toFloatVector();
    }

    private static void assertSame(GradientNormalization normalization, double odd, double scale) {
        float[] before = before(odd, scale);
        float[] expected = theirs(normalization, odd, scale);
        float[] found = ours(normalization, odd, scale);
        int changed = 0;
        for (int i = 0; i < expected.length; i++) {
            double allowed = Float.isFinite(expected[i]) ? FLOAT * Math.abs(expected[i]) : 0;
            assertEquals(expected[i], found[i], allowed, normalization + " at " + odd);
            if (found[i] != before[i]) changed++;
        }
        assertEquals(scale > 0, changed > 0, normalization + " at " + odd);
    }

    @ParameterizedTest
    @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "None")
    void finite(GradientNormalization normalization) {
        assertSame(normalization, 1, 1);
        assertSame(normalization, 100, 10);
    }

    /** A layer of zeros is divided by 1e-5 there and left here: zeros both. */
    @ParameterizedTest
    @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "None")
    void zeros(GradientNormalization normalization) {
        assertSame(normalization, 1, 0);
    }

    @ParameterizedTest
    @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "None")
    void anInfinity(GradientNormalization normalization) {
        assertSame(normalization, Double.POSITIVE_INFINITY, 1);
    }

    /** No comparison finds NaN too large, so the clips leave it. */
    @ParameterizedTest
    @EnumSource(names = {"ClipL2PerLayer", "ClipL2PerParamType", "ClipElementWiseAbsoluteValue"})
    void clipsOfNaN(GradientNormalization normalization) {
        assertSame(normalization, Double.NaN, 1);
    }

    /** DL4J divides by the norm, NaN; ND4J divides by 1e-5 where it is told to divide by NaN. Here all becomes NaN. */
    @ParameterizedTest
    @EnumSource(names = {"RenormalizeL2PerLayer", "RenormalizeL2PerParamType"})
    void divisionsByNaN(GradientNormalization normalization) {
        float[] before = before(Double.NaN, 1);
        assertEquals(before[0] * 1e5, theirs(normalization, Double.NaN, 1)[0], 1e5 * FLOAT);
        assertTrue(Float.isNaN(ours(normalization, Double.NaN, 1)[0]));
    }
}
