// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/**
 * Makes sequences of the temporal order problem (Hochreiter and Schmidhuber 1997, section 5.7; as Pascanu, Mikolov and
 * Bengio 2013 set it): one symbol of A and B in the second tenth of the sequence, one in the sixth, random ones of c to
 * f elsewhere. The class is which came first and which second: AA, AB, BA or BB.
 */
final class TemporalOrder {
    static final int SYMBOLS = 6;
    static final int CLASSES = 4;
    private static final int DISTRACTORS = 4;

    private final int length;
    private final Random random;
    private final float[][] oneHot = new float[SYMBOLS][SYMBOLS];

    /** @param length of a sequence, 10 or more */
    TemporalOrder(int length, Random random) {
        if (length < 10) throw new IllegalArgumentException("length must be 10 or more, but is " + length);
        this.length = length;
        this.random = random;
        for (int s = 0; s < SYMBOLS; s++) oneHot[s][s] = 1;
    }

    List<Example> batch(int size) {
        List<Example> batch = new ArrayList<>(size);
        for (int i = 0; i < size; i++) batch.add(example());
        return batch;
    }

    private Example example() {
        float[][] steps = new float[length][];
        for (int t = 0; t < length; t++) steps[t] = oneHot[SYMBOLS - DISTRACTORS + random.nextInt(DISTRACTORS)];
        int first = random.nextInt(2);
        int second = random.nextInt(2);
        int tenth = length / 10;
        steps[tenth + random.nextInt(tenth)] = oneHot[first];
        steps[length / 2 + random.nextInt(tenth)] = oneHot[second];
        return new Example(steps, 2 * first + second);
    }
}
