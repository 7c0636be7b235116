// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.report;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.Locale;

/**
 * Makes event files of TensorBoard of run files: scalars {@code grad_norm/global} and {@code grad_norm/threshold},
 * {@code clip/coefficient}, {@code clip/clipped}, {@code clip/non_finite} and {@code clip/skipped} as 0 or 1, and
 * {@code tensor_norm/NAME} or {@code group_norm/NAME} where the run has them. {@link RunRecorder#tensorBoard} writes the
 * same while a training goes on.
 *
 * <pre>{@code
 * TensorBoardLog.write(Path.of("run.jsonl"), Path.of("logs/run"));
 * }</pre>
 */
public final class TensorBoardLog {
    private static final int MOST_WAITING = 1 << 20;

    private TensorBoardLog() {}

    /**
     * Writes a run file as an event file into a log directory, which is made where there is none; the same run's earlier
     * event file is replaced.
     *
     * @return the event file
     * @throws BadRunException if the file is no run file, or holds no clip
     */
    public static Path write(Path run, Path logDirectory) throws IOException {
        Files.createDirectories(logDirectory);
        // TensorBoard reads what has tfevents in its name, also before it is whole. Files.createTempFile would make a
        // file that nobody else may read.
        Path part =
                logDirectory.resolve(".gradclip-" + ProcessHandle.current().pid() + "-" + System.nanoTime() + ".part");
        try {
            double began = copy(run, part);
            Path file = logDirectory.resolve(fileName(began));
            return Files.move(part, file, StandardCopyOption.REPLACE_EXISTING);
        } finally {
            Files.deleteIfExists(part);
        }
    }

    /** Returns the time of the run's first step. */
    private static double copy(Path run, Path to) throws IOException {
        try (RunReader reader = RunReader.open(run);
                OutputStream out = Files.newOutputStream(to, StandardOpenOption.CREATE_NEW)) {
            RunStep step = reader.next();
            if (step == null) throw new BadRunException(run + ": holds no clip yet");
            double began = Double.isNaN(step.time()) ? 0 : step.time();
            ByteArrayOutputStream waiting = new ByteArrayOutputStream();
            RunFormat format = new TensorBoardFormat(waiting, began);
            for (; step != null; step = reader.next()) {
                format.head(null, "", reader.normsOf(), reader.names());
                format.step(step, Arrays.stream(reader.norms()).boxed().toList());
                if (waiting.size() < MOST_WAITING) continue;
                waiting.writeTo(out);
                waiting.reset();
            }
            waiting.writeTo(out);
            return began;
        }
    }

    /** TensorBoard reads the event files of a directory in the order of their names. */
    static String fileName(double seconds) {
        return String.format(Locale.ROOT, "events.out.tfevents.%010d.gradclip", (long) seconds);
    }
}
