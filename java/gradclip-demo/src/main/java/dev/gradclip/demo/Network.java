// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

import java.util.List;

/** A network that reads sequences of one length and tells their classes. */
interface Network {
    List<Parameter> parameters();

    /** Reads a batch and returns the mean cross-entropy, in nats. */
    double forward(List<Example> batch);

    /** Returns how many of the batch read last were told wrong. */
    int errors();

    /** Puts the gradient of that batch's loss into the parameters. */
    void backward();
}
