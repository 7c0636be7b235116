// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.dl4j;

import dev.gradclip.ClipRule;
import dev.gradclip.GradientClipper;
import dev.gradclip.HostBuffer;
import dev.gradclip.adapter.StepClipper;
import dev.gradclip.dl4j.ClippingListener;
import dev.gradclip.dl4j.Nd4jBuffers;
import dev.gradclip.examples.timing.StepTimer;
import dev.gradclip.examples.timing.StepTimer.Part;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.deeplearning4j.nn.api.Layer;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.jspecify.annotations.Nullable;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.dataset.DataSet;

/** Times what a clip that scales adds to a step, beside what DL4J does for a layer and what its users write. */
final class TimeDl4j {
    private TimeDl4j() {}

    static void print(int units) {
        MultiLayerNetwork network = TrainDl4j.network(units);
        DataSet data = TrainDl4j.data(units);
        network.setInput(data.getFeatures());
        network.setLabels(data.getLabels());
        network.computeGradientAndScore();
        List<INDArray> gradients = gradients(network);
        // Enough for each way to bite, after the one that leaves the least.
        Runnable grow = () -> gradients.forEach(gradient -> gradient.muli(8));
        try (Parts parts = new Parts(network)) {
            parts.collect();
            parts.rebind();
            double maxNorm = parts.bound().globalNorm();
            ClippingListener listener = new ClippingListener(ClipRule.globalNorm(maxNorm / TrainDl4j.EXAMPLES));
            new StepTimer()
                    .add("gradclip: one call", grow, () -> listener.onGradientCalculation(network))
                    .add(
                            "gradclip: in three",
                            grow,
                            new Part("collect", parts::collect),
                            new Part("rebind", parts::rebind),
                            new Part("clip", () -> parts.bound().clipByGlobalNorm(maxNorm)))
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

    /** The parts of a call of the listener, with the same parts of the library. */
    private static final class Parts implements AutoCloseable {
        private final StepClipper binding =
                new StepClipper(() -> GradientClipper.builder().openMpThreads("libnd4jcpu.so"));
        private final MultiLayerNetwork network;
        private List<String> names = List.of();
        private List<HostBuffer> buffers = List.of();
        private @Nullable GradientClipper bound;

        Parts(MultiLayerNetwork network) {
            this.network = network;
        }

        void collect() {
            names = new ArrayList<>();
            buffers = new ArrayList<>();
            network.gradient().gradientForVariable().forEach((name, gradient) -> {
                if (!network.updaterDivideByMinibatch(name)) return;
                names.add(name);
                buffers.add(Nd4jBuffers.wrap(gradient));
            });
        }

        void rebind() {
            bound = binding.bind(names, buffers);
        }

        GradientClipper bound() {
            return Objects.requireNonNull(bound);
        }

        @Override
        public void close() {
            binding.close();
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
