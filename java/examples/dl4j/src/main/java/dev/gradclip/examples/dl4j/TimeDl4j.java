// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.dl4j;

import dev.gradclip.ClipRule;
import dev.gradclip.GradientClipper;
import dev.gradclip.GradientClipperBuilder;
import dev.gradclip.HostBuffer;
import dev.gradclip.dl4j.ClippingListener;
import dev.gradclip.dl4j.Nd4jBuffers;
import dev.gradclip.examples.timing.StepTimer;
import java.util.List;
import java.util.Map;
import org.deeplearning4j.nn.api.Layer;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.dataset.DataSet;

/** What a clip that bites adds to a step, beside what DL4J does for a layer and what its users write. */
final class TimeDl4j {
    private TimeDl4j() {}

    static void print(int units) {
        MultiLayerNetwork network = TrainDl4j.network(units);
        DataSet data = TrainDl4j.data(units);
        network.setInput(data.getFeatures());
        network.setLabels(data.getLabels());
        network.computeGradientAndScore();
        List<INDArray> gradients = gradients(network);
        HostBuffer[] buffers = gradients.stream().map(Nd4jBuffers::wrap).toArray(HostBuffer[]::new);
        GradientClipperBuilder builder = GradientClipper.builder().openMpThreads("libnd4jcpu.so");
        for (HostBuffer buffer : buffers) builder.add(buffer);
        try (GradientClipper bound = builder.build()) {
            double maxNorm = bound.globalNorm();
            ClippingListener listener = new ClippingListener(ClipRule.globalNorm(maxNorm / TrainDl4j.EXAMPLES));
            Runnable grow = () -> gradients.forEach(gradient -> gradient.muli(2));
            new StepTimer()
                    .add("gradclip: find, bind, clip", grow, () -> listener.onGradientCalculation(network))
                    .add("gradclip: clip alone, bound before", grow, () -> bound.clipByGlobalNorm(maxNorm))
                    .add("ND4J: norm2Number() and muli() of each array", grow, () -> clip(gradients(network), maxNorm))
                    .add(
                            "DL4J: ClipL2PerLayer, another rule",
                            grow,
                            () -> clipPerLayer(network, maxNorm / network.getnLayers()))
                    .print(
                            StepTimer.size(gradients.stream()
                                    .mapToLong(INDArray::length)
                                    .toArray()),
                            9);
        }
    }

    private static List<INDArray> gradients(MultiLayerNetwork network) {
        return network.gradient().gradientForVariable().entrySet().stream()
                .filter(one -> network.updaterDivideByMinibatch(one.getKey()))
                .map(Map.Entry::getValue)
                .toList();
    }

    private static void clip(List<INDArray> gradients, double maxNorm) {
        double sum = 0;
        for (INDArray gradient : gradients) {
            double norm = gradient.norm2Number().doubleValue();
            sum += norm * norm;
        }
        double coefficient = maxNorm / (Math.sqrt(sum) + 1e-6);
        if (coefficient < 1) for (INDArray gradient : gradients) gradient.muli(coefficient);
    }

    /** The operations that the updater does for {@code gradientNormalization(ClipL2PerLayer)}. */
    private static void clipPerLayer(MultiLayerNetwork network, double threshold) {
        for (Layer layer : network.getLayers()) {
            INDArray gradient = layer.getGradientsViewArray();
            if (gradient == null) continue;
            double norm = gradient.norm2Number().doubleValue();
            if (norm > threshold) gradient.muli(threshold / norm);
        }
    }
}
