// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.report;

import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Reads a run file step by step, of either format, also while it grows: after {@link #next} has returned null, it
 * returns the steps written since. A last line without a line end is not read, because a killed process may have cut
 * it.
 *
 * <pre>{@code
 * try (RunReader reader = RunReader.open(Path.of("run.jsonl"))) {
 *     for (RunStep step = reader.next(); step != null; step = reader.next()) {
 *         System.out.println(step.step() + " " + step.norm());
 *     }
 * }
 * }</pre>
 */
public final class RunReader implements Closeable {
    /** More bytes than a line of a million names has. */
    private static final int LONGEST_LINE = 256 << 20;

    private final Path file;
    private final InputStream in;
    private final RunParser parser;
    private final byte[] block = new byte[64 << 10];
    private int at;
    private int end;
    private byte[] line = new byte[1024];
    private int length;

    private RunReader(Path file, InputStream in) {
        this.file = file;
        this.in = in;
        parser = new RunParser(file.toString());
    }

    /** Opens a file from its beginning. */
    public static RunReader open(Path file) throws IOException {
        return new RunReader(file, Files.newInputStream(file));
    }

    /**
     * Returns the next step; null if there is none yet.
     *
     * @throws BadRunException if the file is no run file, naming the line
     */
    public @Nullable RunStep next() throws IOException {
        while (readLine()) {
            RunStep step = parser.parse(line, length);
            length = 0;
            if (step != null) return step;
        }
        return null;
    }

    /** Reads on in the current line; returns true if it has come to the line's end. */
    private boolean readLine() throws IOException {
        while (true) {
            if (at == end) {
                at = 0;
                end = Math.max(0, in.read(block));
                if (end == 0) return false;
            }
            int from = at;
            while (at < end && block[at] != '\n') at++;
            append(from, at - from);
            if (at < end) {
                at++;
                return true;
            }
        }
    }

    private void append(int from, int count) throws BadRunException {
        if (length + count > LONGEST_LINE) {
            throw new BadRunException(file + ": a line is longer than 256 MiB, so this is no run file");
        }
        if (length + count > line.length) line = Arrays.copyOf(line, Math.max(2 * line.length, length + count));
        System.arraycopy(block, from, line, length, count);
        length += count;
    }

    /** The norms of tensors or groups in the latest step, in the order of {@link #names()}; empty where it has none. */
    public double[] norms() {
        return parser.norms();
    }

    /** What {@link #norms} are of: the names of tensors or groups. */
    public List<String> names() {
        return parser.names();
    }

    /** What has the names: {@code tensors} or {@code groups}. */
    public String normsOf() {
        return parser.normsOf();
    }

    /** The rule's name so far; null where the file does not say. */
    public @Nullable String rule() {
        return parser.rule();
    }

    /** The type of norm so far, as {@link dev.gradclip.NormType#parse} reads it; null where the file does not say. */
    public @Nullable String normType() {
        return parser.normType();
    }

    /** Returns the bytes up to the end of the last line that is whole. */
    static long wholeLines(Path file) throws IOException {
        try (RandomAccessFile bytes = new RandomAccessFile(file.toFile(), "r")) {
            byte[] block = new byte[64 << 10];
            long end = bytes.length();
            while (end > 0) {
                int count = (int) Math.min(block.length, end);
                bytes.seek(end - count);
                bytes.readFully(block, 0, count);
                for (int i = count; i > 0; i--) if (block[i - 1] == '\n') return end - count + i;
                end -= count;
            }
            return 0;
        }
    }

    @Override
    public void close() throws IOException {
        in.close();
    }
}
