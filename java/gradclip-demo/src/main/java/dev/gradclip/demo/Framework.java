// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

import dev.gradclip.ClipRule;
import org.jspecify.annotations.Nullable;

/** A framework that trains on the digits instead of the demo's network; {@link Frameworks} finds it as a service. */
public interface Framework {
    /** Returns the name that {@code --framework} takes. */
    String name();

    /** Describes the model as tables say it: {@code an LSTM of LibTorch reads images row by row}. */
    String model();

    /** Returns a rate of plain stochastic gradient descent at which training goes wrong without clipping. */
    double learningRate();

    /** Returns about how many training steps two processors do in a second. */
    int stepsASecond();

    /**
     * Makes a network whose weights follow from the seed.
     *
     * @param rows of an image
     * @param columns of an image
     * @param classes that it tells apart
     * @param rule by which its gradients are clipped, null to leave them as they are
     */
    FrameworkNetwork network(int rows, int columns, int classes, @Nullable ClipRule rule, long seed);
}
