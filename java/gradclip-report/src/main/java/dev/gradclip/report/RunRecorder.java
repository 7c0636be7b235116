// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.report;

import dev.gradclip.ClipEvent;
import dev.gradclip.ClipListener;
import dev.gradclip.ClipRule;
import dev.gradclip.NonFinitePolicy;
import dev.gradclip.NormRule;
import java.io.ByteArrayOutputStream;
import java.io.Closeable;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Clock;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Writes one line for each clip of one clipper into a run file, which {@code gradclip report} draws and {@code gradclip
 * watch} follows: step, time, norm, threshold, coefficient, and what was clipped or skipped.
 *
 * <p>The file is CSV where its name ends in {@code .csv}, and JSON lines otherwise; {@link #tensorBoard} writes for
 * TensorBoard instead. Whole lines are written, at the
 * latest one second after the clip before them; so a process that is killed loses the lines of at most one second, and
 * of the last line a part may stay, which readers pass over. Where a clipper is made anew, steps go on.
 *
 * <p>When writing fails, as on a full disk, the clip itself does not: the clipper logs it once, nothing more is
 * written, and {@link #close} throws it.
 *
 * <pre>{@code
 * try (RunRecorder recorder = RunRecorder.create(Path.of("run.jsonl"));
 *         GradientClipper clipper = GradientClipper.builder()
 *                 .add("weights", HostBuffer.wrap(weights))
 *                 .listener(recorder)
 *                 .build()) {
 *     // … training …
 * }
 * }</pre>
 */
public final class RunRecorder implements ClipListener, Closeable {
    /** The milliseconds that a line may wait to be written. */
    private static final long LONGEST_WAIT = 1000;

    /** The bytes of lines that wait at most, as far as one line is not longer. */
    private static final int MOST_WAITING = 64 << 10;

    private enum Norms {
        NONE,
        GROUPS,
        TENSORS
    }

    private final Path file;
    private final Norms norms;
    private final int every;
    private final Clock clock;
    private final OutputStream out;
    private final ByteArrayOutputStream waiting = new ByteArrayOutputStream();
    private final RunFormat format;

    /** What the latest head line said. */
    private @Nullable List<String> names;

    private @Nullable String rule;
    private String normType = "";

    /** Added to a clipper's own steps, which begin with 0 in each clipper. */
    private long offset;

    private long lastStep;
    private long written;
    private @Nullable IOException failure;
    private boolean closed;

    RunRecorder(Builder builder, Path file, OutputStream out, long lastStep) throws IOException {
        this.file = file;
        norms = builder.norms;
        every = builder.every;
        clock = builder.clock;
        this.out = out;
        this.lastStep = lastStep;
        written = clock.millis();
        if (builder.tensorBoard) format = new TensorBoardFormat(waiting, written / 1000.0);
        else format = isCsv(file) ? new CsvFormat(waiting) : new JsonFormat(waiting);
    }

    /**
     * Makes a new file.
     *
     * @throws FileAlreadyExistsException if there is a file of this name; {@link Builder#append} goes on with it
     */
    public static RunRecorder create(Path file) throws IOException {
        return builder(file).open();
    }

    /** Returns a builder, which takes what else is to be written. */
    public static Builder builder(Path file) {
        return new Builder(file, false);
    }

    /**
     * Returns a builder of a recorder that writes an event file for TensorBoard into a log directory, and no run file.
     * The directory is made where there is none; give each training one of its own. {@link TensorBoardLog} names the
     * scalars, and makes such a file of a run file, too.
     *
     * <pre>{@code
     * RunRecorder recorder = RunRecorder.tensorBoard(Path.of("logs/run-1")).tensorNorms().open();
     * }</pre>
     */
    public static Builder tensorBoard(Path logDirectory) {
        return new Builder(logDirectory, true);
    }

    /** Collects the options of a {@link RunRecorder}. */
    public static final class Builder {
        private final Path file;
        private final boolean tensorBoard;
        private Norms norms = Norms.NONE;
        private int every = 1;
        private boolean append;
        private Clock clock = Clock.systemUTC();

        private Builder(Path file, boolean tensorBoard) {
            this.file = Objects.requireNonNull(file, "file");
            this.tensorBoard = tensorBoard;
        }

        /** Also writes the norm of each group of the clipper; not of clips that are enqueued on a device. */
        public Builder groupNorms() {
            norms = Norms.GROUPS;
            return this;
        }

        /** Also writes the norm of each tensor; not of clips that are enqueued on a device. */
        public Builder tensorNorms() {
            norms = Norms.TENSORS;
            return this;
        }

        /**
         * Writes norms of groups or tensors in each {@code steps}-th step only, from the first on, for smaller files: a
         * line with 300 norms takes about 3 KB.
         *
         * @throws IllegalArgumentException if steps is below 1
         */
        public Builder normsEvery(int steps) {
            if (steps < 1) throw new IllegalArgumentException("steps must be 1 or more, but is " + steps);
            every = steps;
            return this;
        }

        /**
         * Goes on with a file that is there, as a training that is resumed does: cuts off a line that is not whole, and
         * counts steps on from the last one. It reads the file once. Not for TensorBoard's event files.
         */
        public Builder append() {
            append = true;
            return this;
        }

        /** Sets the clock that the lines' times are of, the system's by default. */
        public Builder clock(Clock used) {
            clock = Objects.requireNonNull(used, "clock");
            return this;
        }

        /**
         * Opens the file.
         *
         * @throws FileAlreadyExistsException if there is a file of this name and it is not to be appended to
         * @throws BadRunException if the file to append to is no run file
         * @throws IllegalStateException if an event file is to be appended to
         */
        public RunRecorder open() throws IOException {
            if (tensorBoard) return openLog();
            long lastStep = append && Files.exists(file) ? cut() : -1;
            OutputStream out;
            try {
                // A stream that an interrupted thread does not close, unlike a channel.
                out = append
                        ? Files.newOutputStream(file, StandardOpenOption.CREATE, StandardOpenOption.APPEND)
                        : Files.newOutputStream(file, StandardOpenOption.CREATE_NEW);
            } catch (FileAlreadyExistsException e) {
                throw new FileAlreadyExistsException(
                        file.toString(), null, "is there already; append() goes on with it, another name begins anew");
            }
            return new RunRecorder(this, file, out, lastStep);
        }

        private RunRecorder openLog() throws IOException {
            if (append) {
                throw new IllegalStateException(
                        "an event file is not appended to; record a run file, which is, and make an event file of it:"
                                + " gradclip report --tensorboard");
            }
            Files.createDirectories(file);
            Path events = file.resolve(TensorBoardLog.fileName(clock.millis() / 1000.0));
            try {
                return new RunRecorder(this, events, Files.newOutputStream(events, StandardOpenOption.CREATE_NEW), -1);
            } catch (FileAlreadyExistsException e) {
                throw new FileAlreadyExistsException(
                        events.toString(), null, "is there already; give each training a log directory of its own");
            }
        }

        /** Cuts off a line that is not whole; returns the last step. */
        private long cut() throws IOException {
            long lastStep = -1;
            try (RunReader reader = RunReader.open(file)) {
                for (RunStep step = reader.next(); step != null; step = reader.next()) lastStep = step.step();
            }
            try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
                channel.truncate(RunReader.wholeLines(file));
            }
            return lastStep;
        }
    }

    static boolean isCsv(Path file) {
        return file.toString().toLowerCase(Locale.ROOT).endsWith(".csv");
    }

    @Override
    public synchronized boolean wantsTensorNorms(long step) {
        return norms == Norms.TENSORS && step % every == 0 && isWriting();
    }

    /** @throws UncheckedIOException if the file can't be written, the first time */
    @Override
    public synchronized void onClip(ClipEvent event) {
        if (!isWriting()) return;
        try {
            Map<String, Double> found = norms(event);
            head(event.rule(), found);
            format.step(step(event), found.values());
            long now = clock.millis();
            if (waiting.size() >= MOST_WAITING || now - written >= LONGEST_WAIT || now < written) writeWaiting(now);
        } catch (IOException e) {
            failure = e;
            throw new UncheckedIOException(file + ": this run is no longer recorded: " + e.getMessage(), e);
        }
    }

    private boolean isWriting() {
        return !closed && failure == null;
    }

    private Map<String, Double> norms(ClipEvent event) {
        return switch (norms) {
            case NONE -> Map.of();
            case GROUPS -> event.step() % every == 0 ? event.groupNorms() : Map.of();
            case TENSORS -> event.tensorNorms();
        };
    }

    /** Writes a head where what it says has changed. */
    private void head(@Nullable ClipRule by, Map<String, Double> found) throws IOException {
        List<String> known = names;
        boolean sameNames = known != null && (found.isEmpty() || sameNames(known, found));
        if (sameNames && (by == null || (by.name().equals(rule) && normType(by).equals(normType)))) return;
        if (!sameNames) names = List.copyOf(found.keySet());
        if (by != null) {
            rule = by.name();
            normType = normType(by);
        }
        format.head(rule, normType, norms == Norms.GROUPS ? "groups" : "tensors", Objects.requireNonNull(names));
    }

    private static boolean sameNames(List<String> known, Map<String, Double> found) {
        if (known.size() != found.size()) return false;
        int i = 0;
        for (String name : found.keySet()) if (!name.equals(known.get(i++))) return false;
        return true;
    }

    private static String normType(ClipRule rule) {
        return rule instanceof NormRule norm ? norm.normType().toString() : "";
    }

    private RunStep step(ClipEvent event) {
        long step = offset + event.step();
        if (step <= lastStep) {
            offset = lastStep + 1 - event.step();
            step = lastStep + 1;
        }
        lastStep = step;
        return new RunStep(
                step,
                clock.millis() / 1000.0,
                event.globalNorm(),
                event.threshold(),
                event.coefficient(),
                event.clipped(),
                event.nonFinite(),
                isSkipped(event));
    }

    private static boolean isSkipped(ClipEvent event) {
        if (event.skipped() || !event.nonFinite()) return event.skipped();
        ClipRule by = event.rule();
        if (by == null) return !event.clipped();
        NonFinitePolicy policy = by.nonFinitePolicy();
        return policy == NonFinitePolicy.SKIP || policy == NonFinitePolicy.ERROR;
    }

    private void writeWaiting(long now) throws IOException {
        waiting.writeTo(out);
        waiting.reset();
        written = now;
    }

    /**
     * Writes all lines that wait now.
     *
     * @throws IOException if that fails, or has failed before
     */
    public synchronized void flush() throws IOException {
        if (failure != null)
            throw new IOException(file + ": recorded up to a failure: " + failure.getMessage(), failure);
        if (closed) return;
        try {
            writeWaiting(clock.millis());
        } catch (IOException e) {
            failure = e;
            throw e;
        }
    }

    /**
     * Writes all lines that wait and closes the file. Close the clipper first: its last reports come then.
     *
     * @throws IOException if that fails, or has failed before
     */
    @Override
    public synchronized void close() throws IOException {
        if (closed) return;
        try {
            flush();
        } finally {
            closed = true;
            out.close();
        }
    }
}
