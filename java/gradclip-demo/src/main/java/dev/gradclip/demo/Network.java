// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

import java.util.List;

/** A network that reads sequences of one length and tells their classes. */
interface Network {
    List<Parameter> parameters();

    /** Reads a batch; the mean cross-entropy, in nats. */
    double forward(List<Example> batch);

    /** The number of images of the batch read last that were classified wrongly. */
    int errors();

    /** Puts the gradient of that batch's loss into the parameters. */
    void backward();
}
