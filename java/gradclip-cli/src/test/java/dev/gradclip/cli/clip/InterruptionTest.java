// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.clip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.gradclip.Backend;
import dev.gradclip.ClipRule;
import dev.gradclip.StreamingClip;
import dev.gradclip.cli.Child;
import dev.gradclip.cli.Gradients;
import dev.gradclip.cli.rules.RuleSelection;
import dev.gradclip.cli.safetensors.Exclusion;
import dev.gradclip.cli.safetensors.TensorFiles;
import dev.gradclip.cli.shell.ExitCode;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.function.LongConsumer;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Killed, out of room, or its input pulled away: whatever happens, IN and an older OUT are as they were. */
class InterruptionTest {
    private static final long ELEMENTS = 64L << 20;

    @TempDir
    Path folder;

    private Path out() throws IOException {
        return Files.writeString(folder.resolve("out"), "old");
    }

    private Set<String> names() throws IOException {
        try (var files = Files.list(folder)) {
            return files.map(f -> f.getFileName().toString()).collect(Collectors.toSet());
        }
    }

    private Path twoTensors() {
        return new Gradients().floats("v", 1, 2).floats("w", 3, 4).write(folder.resolve("in"));
    }

    private void interruptWhileWriting(boolean kill, String... options) throws Exception {
        Path in = twoTensors();
        byte[] original = Files.readAllBytes(in);
        List<Object> arguments = new ArrayList<>(List.of(in, out()));
        arguments.addAll(List.of(options));
        Child child = Child.start(StuckClip.class, "", arguments.toArray());
        child.awaitSaid("stuck");
        assertEquals(3, names().size(), child::said);
        if (kill) child.process().destroyForcibly();
        else child.process().destroy();
        assertEquals(128 + (kill ? 9 : 15), child.await(), child::said);
        assertEquals("old", Files.readString(folder.resolve("out")));
        assertArrayEquals(original, Files.readAllBytes(in));
        if (!kill) assertEquals(Set.of("in", "out"), names());
    }

    @Test
    void killedWhileWriting() throws Exception {
        interruptWhileWriting(true, "--clip-value", "1");
    }

    @Test
    void killedWhileWritingGroups() throws Exception {
        interruptWhileWriting(true, "--group", "w=block-rms,max-rms=1,scope=row");
    }

    @Test
    void terminatedWhileWriting() throws Exception {
        interruptWhileWriting(false, "--clip-value", "1");
    }

    @Test
    void fullDisk() throws Exception {
        Path in = new Gradients().add("a", "F32", new byte[1 << 20], 1 << 18).write(folder.resolve("in"));
        Path out = out();
        // A limit on the size of files stops a write just as a full disk does.
        Child child = Child.start("ulimit -f 512; ", "clip", in, "-o", out, "--max-norm", "1");
        assertEquals(ExitCode.FAILURE, child.await(), child::said);
        assertTrue(
                child.said().startsWith("gradclip: error: ")
                        && child.said().lines().count() <= 3,
                child::said);
        assertEquals("old", Files.readString(out));
        assertEquals(Set.of("in", "out"), names());
    }

    @Test
    void outputThatCannotBeReported() throws Exception {
        Path full = Path.of("/dev/full");
        assumeTrue(Files.exists(full), "/dev/full");
        Child child = Child.start("exec > /dev/full; ", "info");
        assertEquals(ExitCode.FAILURE, child.await());
    }

    @Test
    void inputTruncatedWhileItIsRead() throws IOException {
        Path in = Gradients.sparse(folder.resolve("in"), ELEMENTS);
        try (TensorFiles file = TensorFiles.open(in)) {
            IOException e = assertThrows(
                    IOException.class,
                    () -> file.forEachPiece(file.tensors().get(0), 1, piece -> truncate(in, 9 << 20)));
            assertTrue(String.valueOf(e.getMessage()).contains("truncated while it was read"), e::toString);
            assertThrows(IOException.class, file::requireUnchanged);
        }
    }

    /** Writes other elements a second later: two writes may come within one tick of a file system's clock. */
    private static void rewrite(Path path, Gradients gradients) throws IOException {
        FileTime before = Files.getLastModifiedTime(path);
        gradients.write(path);
        Files.setLastModifiedTime(path, FileTime.fromMillis(before.toMillis() + 1000));
    }

    @Test
    void inputWrittenWhileItIsRead() throws IOException {
        Path in = new Gradients().floats("a", 1, 2).write(folder.resolve("in"));
        try (TensorFiles file = TensorFiles.open(in)) {
            file.requireUnchanged();
            rewrite(in, new Gradients().floats("a", 1, 3));
            assertThrows(IOException.class, file::requireUnchanged);
        }
    }

    @Test
    void weightsWrittenWhileTheyAreRead() throws IOException {
        Path in = new Gradients().floats("a", 1, 2).write(folder.resolve("in"));
        Path weights = new Gradients().floats("a", 1, 2).write(folder.resolve("weights"));
        Path out = out();
        RuleSelection adaptive = new RuleSelection(ClipRule.adaptive(0.1), null, List.of(), weights);
        try (TensorFiles file = TensorFiles.open(in);
                ParameterFile parameters = ParameterFile.open(weights);
                StreamingClip clip = StreamingClip.of(adaptive.rule(), Backend.JAVA, 1)) {
            FileClip fileClip = new FileClip(file, parameters, ClipOutput.of(out, file), adaptive, new Exclusion());
            rewrite(weights, new Gradients().floats("a", 1, 3));
            IOException e = assertThrows(IOException.class, () -> fileClip.run(clip, bytes -> {}));
            assertTrue(String.valueOf(e.getMessage()).startsWith(weights + ": "), e::toString);
        }
        assertEquals("old", Files.readString(out));
    }

    private void assertRefused(String why, LongConsumer progress, String... options) throws IOException {
        IOException e = assertThrows(
                IOException.class,
                () -> StuckClip.clip(folder.resolve("in"), folder.resolve("out"), progress, options));
        assertTrue(String.valueOf(e.getMessage()).contains(why), e::toString);
        assertEquals("old", Files.readString(folder.resolve("out")));
        assertEquals(Set.of("in", "out"), names());
    }

    /** All its pieces were read already, from one file or from two: what was written may be neither. */
    @ParameterizedTest
    @ValueSource(strings = {"--max-norm", "--clip-value"})
    void inputWrittenWhileTheOutputIs(String rule) throws IOException {
        Path in = twoTensors();
        Gradients others = new Gradients().floats("v", 5, 6).floats("w", 7, 8);
        LongConsumer progress = StuckClip.whenPartIsWritten(out(), unchecked(() -> rewrite(in, others)));
        assertRefused("in: the input was changed while it was read", progress, rule, "1");
    }

    /** Found before anything is written. */
    @Test
    void inputWrittenWhileItIsMeasured() throws IOException {
        Path in = twoTensors();
        Path out = out();
        Gradients others = new Gradients().floats("v", 5, 6).floats("w", 7, 8);
        Runnable change = unchecked(() -> rewrite(in, others));
        int[] pieces = {0};
        LongConsumer progress = bytes -> {
            assertFalse(StuckClip.isBeingWritten(out));
            if (++pieces[0] == 1) change.run();
        };
        assertRefused("in: the input was changed while it was read", progress, "--max-norm", "1");
        assertEquals(2, pieces[0]);
    }

    @Test
    void inputTruncatedWhileTheOutputIsWritten() throws IOException {
        Path in = new Gradients()
                .floats("u", 1, 2)
                .floats("v", 3, 4)
                .floats("w", 5, 6)
                .write(folder.resolve("in"));
        LongConsumer progress = StuckClip.whenPartIsWritten(out(), unchecked(() -> truncate(in, Files.size(in) - 4)));
        assertRefused("truncated while it was read", progress, "--clip-value", "1");
    }

    private interface Change {
        void make() throws IOException;
    }

    private static Runnable unchecked(Change change) {
        return () -> {
            try {
                change.make();
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        };
    }

    private static void truncate(Path path, long size) throws IOException {
        try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
            file.setLength(size);
        }
    }
}
