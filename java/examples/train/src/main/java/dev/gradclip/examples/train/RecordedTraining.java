// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.train;

import dev.gradclip.javacpp.TorchClipper;
import dev.gradclip.javacpp.TorchClipperBuilder;
import dev.gradclip.report.RunRecorder;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.Locale;
import org.bytedeco.javacpp.PointerScope;

/** A training whose clips are written into a run file, with the norm of each tensor. */
final class RecordedTraining {
    private RecordedTraining() {}

    /**
     * Clips in each step, and takes it by LibTorch's SGD.
     *
     * @param ownThreads that clip; 0 for LibTorch's
     * @throws java.nio.file.FileAlreadyExistsException if there is a file of this name
     */
    @SuppressWarnings("try") // a scope is there to be closed
    static void run(PrintStream out, Training training, Path file, int steps, double maxNorm, int ownThreads)
            throws IOException {
        double first = 0;
        double last = 0;
        int clipped = 0;
        try (RunRecorder recorder = RunRecorder.builder(file).tensorNorms().open();
                TorchClipper clipper = clipper(training, recorder, ownThreads)) {
            for (int step = 0; step < steps; step++) {
                try (PointerScope scope = new PointerScope()) {
                    last = training.backward();
                    if (step == 0) first = last;
                    if (clipper.clipByGlobalNorm(maxNorm).clipped()) clipped++;
                    training.step();
                }
            }
        }
        out.printf(
                Locale.ROOT,
                "%d steps, clipped to a norm of %s in %d of them; the loss went from %.4f to %.4f.%n",
                steps,
                maxNorm,
                clipped,
                first,
                last);
        out.println("written: " + file + "; gradclip report " + file + " -o report.html draws it");
    }

    private static TorchClipper clipper(Training training, RunRecorder recorder, int ownThreads) {
        TorchClipperBuilder builder =
                TorchClipper.builder().add(training.model()).listener(recorder);
        if (ownThreads > 0) builder.threads(ownThreads);
        return builder.build();
    }
}
