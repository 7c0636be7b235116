// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.measure;

/**
 * A threshold that a clip exceeds each time, though the one before left the norm at the threshold: it shrinks a little
 * at each clip. In 16 bits, where each product rounds back to what it was, one threshold bites for ever.
 */
final class BitingThreshold {
    private final double shrink;
    private double threshold;

    BitingThreshold(Shape shape, double norm) {
        threshold = shape.isHalves() ? 0.9999 * norm : norm;
        shrink = shape.isHalves() ? 0 : 1e-6;
    }

    double next() {
        threshold *= 1 - shrink;
        return threshold;
    }
}
