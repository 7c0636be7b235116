// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.spark;

import java.io.Serializable;
import java.util.SplittableRandom;

/**
 * The gradients of all parameters as one vector, cut over partitions, as BigDL keeps them. Each tile is made up from
 * its own place, so that the vector is the same however it is cut.
 *
 * @param elements of the whole vector
 * @param from the first element of this partition
 * @param to the element behind its last
 */
record Gradients(int elements, int from, int to) implements Serializable {
    /** A shard begins at a multiple of 8 KiB. */
    static final int TILE = 2048;

    /** Cuts the vector evenly, at tiles. */
    static Gradients of(int elements, int partition, int partitions) {
        long tiles = (elements + TILE - 1L) / TILE;
        return new Gradients(elements, (int) Math.min(elements, tiles * partition / partitions * TILE), (int)
                Math.min(elements, tiles * (partition + 1) / partitions * TILE));
    }

    float[] values() {
        float[] values = new float[to - from];
        for (int tile = from; tile < to; tile += TILE) {
            SplittableRandom random = new SplittableRandom(tile);
            for (int i = tile; i < Math.min(to, tile + TILE); i++) {
                values[i - from] = (float) (random.nextDouble() - 0.5);
            }
        }
        return values;
    }

    /**
     * BigDL's sum of squares of a partition, in the type of the gradients: {@code L2NormClippingProcessor} takes the dot
     * product of the partition with itself. Here that is a plain loop, where BigDL calls BLAS, whose order of additions
     * is another.
     */
    double sumOfSquaresInFloat() {
        float sum = 0;
        for (float value : values()) sum += value * value;
        return sum;
    }

    double sumOfSquaresInDouble() {
        double sum = 0;
        for (float value : values()) sum += (double) value * value;
        return sum;
    }

    /** The norm, with what each addition rounds off added again. */
    double norm() {
        double sum = 0;
        double rest = 0;
        for (float value : values()) {
            double square = (double) value * value;
            double next = sum + square;
            rest += sum - next + square;
            sum = next;
        }
        return Math.sqrt(sum + rest);
    }
}
