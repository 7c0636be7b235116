// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

import dev.gradclip.ClipRule;
import org.jspecify.annotations.Nullable;

/**
 * A framework that trains on the digits in place of the demo's own network; {@link Frameworks} finds it as a service.
 */
public interface Framework {
    /** The name that {@code --framework} takes. */
    String name();

    /** The network, as tables name it: {@code an LSTM of LibTorch reads images row by row}. */
    String model();

    /** The learning rate of plain stochastic gradient descent; one at which training goes wrong without clipping. */
    double learningRate();

    /** Training steps that two processors do in a second, about. */
    int stepsASecond();

    /**
     * A network whose weights follow from the seed.
     *
     * @param rows of an image
     * @param columns of an image
     * @param classes that it tells apart
     * @param rule by which its gradients are clipped, null to leave them as they are
     */
    FrameworkNetwork network(int rows, int columns, int classes, @Nullable ClipRule rule, long seed);
}
