// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.demo;

import dev.gradclip.ClipRule;
import dev.gradclip.demo.Batch;
import dev.gradclip.demo.Framework;
import dev.gradclip.demo.FrameworkNetwork;
import org.jspecify.annotations.Nullable;

/** A framework that a test puts into a jar: each step has the same loss, and a clip is what the rule says. */
public final class StubFramework implements Framework {
    @Override
    public String name() {
        return "djl";
    }

    @Override
    public String model() {
        return "a stub tells always 3";
    }

    @Override
    public double learningRate() {
        return 7;
    }

    @Override
    public int stepsASecond() {
        return 12;
    }

    @Override
    public FrameworkNetwork network(int rows, int columns, int classes, @Nullable ClipRule rule, long seed) {
        return new FrameworkNetwork() {
            @Override
            public Step step(Batch batch) {
                return new Step(2, batch.pixels().length, rule != null);
            }

            @Override
            public int errors(Batch batch) {
                int errors = 0;
                for (int label : batch.labels()) if (label != 3) errors++;
                return errors;
            }

            @Override
            public void close() {}
        };
    }
}
