// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.spark;

import dev.gradclip.ClipRule;
import dev.gradclip.Exchange;
import dev.gradclip.GradientClipper;
import dev.gradclip.HostBuffer;

/** Clips what a partition holds by the norm over all of them. */
record Shard(Gradients gradients) {
    /** Clips them, and returns the norm over all partitions. */
    double clip(Exchange exchange) {
        try (GradientClipper clipper = GradientClipper.builder()
                .add("parameters", HostBuffer.wrap(gradients.values()))
                .shard(gradients.from(), gradients.elements())
                .threads(1)
                .build()) {
            return clipper.clip(ClipRule.globalNorm(1.0), exchange).globalNorm();
        }
    }

    /** The norm of all gradients in one process. */
    static double wholeNorm(int elements) {
        try (GradientClipper clipper =
                GradientClipper.of(Gradients.of(elements, 0, 1).values())) {
            return clipper.globalNorm();
        }
    }
}
