// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.dl4j;

import dev.gradclip.HostBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.deeplearning4j.nn.api.Model;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.graph.vertex.GraphVertex;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * The gradients of a network between the backward pass and the updater.
 *
 * @param names as {@code gradientForVariable()} has them
 * @param buffers their own memory, views of the network's flattened gradient
 * @param divisor what the updater will divide them by: the number of examples, or 1
 */
record Dl4jGradients(List<String> names, List<HostBuffer> buffers, int divisor) {
    /**
     * Finds the gradients of a network.
     *
     * @throws IllegalArgumentException if it is neither a MultiLayerNetwork nor a ComputationGraph, or naming a
     *     gradient that can't be clipped where it is
     */
    static Dl4jGradients of(Model model) {
        Map<String, INDArray> all = model.gradient().gradientForVariable();
        List<String> names = new ArrayList<>(all.size());
        List<HostBuffer> buffers = new ArrayList<>(all.size());
        all.forEach((name, gradient) -> {
            if (!isGradient(model, name)) return;
            names.add(name);
            buffers.add(Nd4jBuffers.wrap("the gradient of " + name, gradient));
        });
        return new Dl4jGradients(names, buffers, model.conf().isMiniBatch() ? model.batchSize() : 1);
    }

    /**
     * Not what batch normalisation subtracts from its running mean and variance: those the updater does not divide
     * either.
     */
    private static boolean isGradient(Model model, String name) {
        if (model instanceof MultiLayerNetwork network) return network.updaterDivideByMinibatch(name);
        if (model instanceof ComputationGraph graph) {
            int end = name.lastIndexOf('_');
            GraphVertex vertex = graph.getVertex(name.substring(0, end));
            return vertex.updaterDivideByMinibatch(name.substring(end + 1));
        }
        throw new IllegalArgumentException("clipped are MultiLayerNetwork and ComputationGraph, not "
                + model.getClass().getSimpleName() + "; take the listener off for layer-wise pretraining");
    }
}
