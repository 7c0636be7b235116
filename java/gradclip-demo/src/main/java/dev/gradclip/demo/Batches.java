// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;

/** The batches of a training, shuffled before each pass over the examples. */
final class Batches {
    static final int SIZE = 32;

    private final List<Example> examples;
    private final Random random;
    private int at;

    Batches(List<Example> examples, Random random) {
        this.examples = new ArrayList<>(examples);
        this.random = random;
        at = examples.size();
    }

    /** Returns the next examples, a view that the next call may change. */
    List<Example> next() {
        int size = Math.min(SIZE, examples.size());
        if (at + size > examples.size()) {
            Collections.shuffle(examples, random);
            at = 0;
        }
        at += size;
        return examples.subList(at - size, at);
    }

    /** Returns the share of examples that are told right. */
    static double accuracy(Learner learner, List<Example> examples) {
        int errors = 0;
        for (int from = 0; from < examples.size(); from += SIZE) {
            errors += learner.errors(examples.subList(from, Math.min(from + SIZE, examples.size())));
        }
        return 1 - (double) errors / examples.size();
    }
}
