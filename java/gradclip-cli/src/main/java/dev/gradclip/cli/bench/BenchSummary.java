// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.bench;

import dev.gradclip.Backend;
import dev.gradclip.DType;
import dev.gradclip.cli.shell.BackendOptions;
import dev.gradclip.cli.shell.Numbers;
import dev.gradclip.measure.Case;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Says in sentences what the table means. */
final class BenchSummary {
    private static final double PARAMETERS = 1e9;

    /** The fewest bytes that say something of a model: fewer stay in caches. */
    private static final long LARGE = 32 << 20;

    private BenchSummary() {}

    static List<String> of(BenchReport bench) {
        List<String> sentences = new ArrayList<>();
        if (bench.rows().stream().anyMatch(BenchRow::hasLimit)) {
            sentences.add("Limit: the time in which plain loops of this JVM, at their best, on as many threads, read as"
                    + " many bytes and,");
            sentences.add("where gradients change, rewrite them. GB/s counts 1 pass of a norm, 3 of a clip that bites,"
                    + " and the lines a clamp changes.");
            if (bench.update().update() != null) {
                sentences.add("An update reads the gradients twice and rewrites weights and state; a clip before it"
                        + " rewrites the gradients, too.");
            }
        }
        for (Backend backend : Backend.values()) {
            String sentence = model(bench, backend);
            if (sentence != null) sentences.add(sentence);
        }
        for (Backend backend : Backend.values()) {
            String sentence = update(bench, backend);
            if (sentence != null) sentences.add(sentence);
        }
        if (sentences.stream().noneMatch(s -> s.startsWith("A model"))) {
            sentences.add("What a large model would take cannot be told from these sizes; --seconds 20 measures"
                    + " larger ones.");
        }
        return sentences;
    }

    private static @Nullable String model(BenchReport bench, Backend backend) {
        BenchRow calm = large(bench, backend, Case.DOES_NOT_BITE);
        BenchRow bites = large(bench, backend, Case.BITES);
        if (calm == null || bites == null) return null;
        double bytes = PARAMETERS * DType.FLOAT32.bytes();
        return "A model of " + Numbers.fixed(PARAMETERS, 0) + " float32 parameters ("
                + Numbers.fixed(bytes / 1e9, 0)
                + " GB of gradients) would spend " + milliseconds(calm, bytes) + " ms a step in clips by "
                + BackendOptions.name(backend) + ", and " + milliseconds(bites, bytes) + " ms where they bite.";
    }

    /** Compares both ways at the largest size. */
    private static @Nullable String update(BenchReport bench, Backend backend) {
        BenchRow step = last(bench, backend, Case.STEP);
        BenchRow inTwo = last(bench, backend, Case.CLIP_THEN_UPDATE);
        if (step == null || inTwo == null) return null;
        double share = step.times().median() / inTwo.times().median();
        return "Clip and update by " + bench.update().word() + " in one call take " + Numbers.fixed(share, 2)
                + " of the time of a clip and then the update, by " + BackendOptions.name(backend) + ", "
                + step.shape().label() + " " + step.shape().type() + ".";
    }

    private static @Nullable BenchRow last(BenchReport bench, Backend backend, Case what) {
        return bench.rows().stream()
                .filter(row -> row.backend() == backend && row.what() == what)
                .reduce((first, second) -> second)
                .orElse(null);
    }

    private static String milliseconds(BenchRow row, double bytes) {
        return Numbers.fixed(row.times().median() / 1e3 * bytes / row.shape().bytes(), 0);
    }

    private static @Nullable BenchRow large(BenchReport bench, Backend backend, Case what) {
        return bench.rows().stream()
                .filter(row -> row.backend() == backend && row.what() == what)
                .filter(row -> row.shape().is(DType.FLOAT32) && row.shape().bytes() >= LARGE)
                .findFirst()
                .orElse(null);
    }
}
