// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.dl4j;

import dev.gradclip.HostBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;
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
 * @param arrays the same
 * @param divisor what the updater will divide them by: the number of examples, or 1
 */
record Dl4jGradients(List<String> names, List<HostBuffer> buffers, List<INDArray> arrays, int divisor) {
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
        List<INDArray> arrays = new ArrayList<>(all.size());
        all.forEach((name, gradient) -> {
            if (!isGradient(model, name)) return;
            names.add(name);
            buffers.add(Nd4jBuffers.wrap("the gradient of " + name, gradient));
            arrays.add(gradient);
        });
        return new Dl4jGradients(names, buffers, arrays, model.conf().isMiniBatch() ? model.batchSize() : 1);
    }

    /**
     * The weights that the gradients are of, which must lie in the same order.
     *
     * @throws IllegalArgumentException naming a parameter that lies in memory in another order than its gradient
     */
    List<HostBuffer> weights(Model model) {
        List<HostBuffer> weights = new ArrayList<>(names.size());
        for (int i = 0; i < names.size(); i++) {
            INDArray parameter = model.getParam(names.get(i));
            if (!orderOf(parameter).equals(orderOf(arrays.get(i)))) {
                throw new IllegalArgumentException("the parameter " + names.get(i)
                        + " lies in memory in another order than its gradient, so that their units can't be compared;"
                        + " leave units() out");
            }
            weights.add(Nd4jBuffers.wrap("the parameter " + names.get(i), parameter));
        }
        return weights;
    }

    /** The units of each gradient: the length of its slowest dimension, or 0 where one dimension is above 1. */
    int[] units() {
        int[] units = new int[arrays.size()];
        for (int i = 0; i < units.length; i++) {
            List<Long> order = orderOf(arrays.get(i));
            units[i] = order.size() > 2 ? Math.toIntExact(order.get(1)) : 0;
        }
        return units;
    }

    /** Stride and length of each dimension above 1, the slowest first. */
    private static List<Long> orderOf(INDArray array) {
        return IntStream.range(0, array.rank())
                .filter(i -> array.size(i) > 1)
                .boxed()
                .sorted((a, b) -> Long.compare(array.stride(b), array.stride(a)))
                .flatMap(i -> Stream.of((long) array.stride(i), array.size(i)))
                .toList();
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
