// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.gradclip.Backend;
import dev.gradclip.ClipRule;
import dev.gradclip.StreamingClip;
import dev.gradclip.cli.safetensors.SafetensorsFile;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Killed, out of room, or its input pulled away: whatever happens, IN and an older OUT are as they were. */
class InterruptionTest {
    private static final long ELEMENTS = 64L << 20;
    private static final int ATTEMPTS = 5;

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

    private void interruptWhileWriting(boolean kill, Object... rule) throws Exception {
        Path in = Gradients.sparse(folder.resolve("in"), ELEMENTS);
        long size = Files.size(in);
        for (int i = 0; i < ATTEMPTS; i++) {
            Path out = out();
            List<Object> arguments = new ArrayList<>(List.of("clip", in, "-o", out));
            arguments.addAll(Arrays.asList(rule));
            Child child = Child.start("", arguments.toArray());
            boolean writing = child.awaitWriting(folder);
            if (kill) child.process().destroyForcibly();
            else child.process().destroy();
            int code = child.await();
            if (!writing || code == ExitCode.DONE) continue;
            assertEquals(128 + (kill ? 9 : 15), code, child::said);
            assertEquals("old", Files.readString(out));
            assertEquals(size, Files.size(in));
            if (!kill) assertEquals(Set.of("in", "out"), names());
            return;
        }
        assumeTrue(false, "the command ended before it could be interrupted");
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
        try (SafetensorsFile file = SafetensorsFile.open(in)) {
            IOException e = assertThrows(
                    IOException.class,
                    () -> file.forEachPiece(file.header().tensors().get(0), piece -> truncate(in, 9 << 20)));
            assertTrue(String.valueOf(e.getMessage()).contains("truncated while it was read"), e::toString);
            assertThrows(IOException.class, file::requireUnchanged);
        }
    }

    @Test
    void inputWrittenWhileItIsRead() throws IOException, InterruptedException {
        Path in = new Gradients().floats("a", 1, 2).write(folder.resolve("in"));
        try (SafetensorsFile file = SafetensorsFile.open(in)) {
            file.requireUnchanged();
            Thread.sleep(50);
            new Gradients().floats("a", 1, 3).write(in);
            assertThrows(IOException.class, file::requireUnchanged);
        }
    }

    @Test
    void weightsWrittenWhileTheyAreRead() throws IOException, InterruptedException {
        Path in = new Gradients().floats("a", 1, 2).write(folder.resolve("in"));
        Path weights = new Gradients().floats("a", 1, 2).write(folder.resolve("weights"));
        Path out = out();
        Selection adaptive = new Selection(ClipRule.adaptive(0.1), null, List.of(), weights);
        try (SafetensorsFile file = SafetensorsFile.open(in);
                ParameterFile parameters = ParameterFile.open(weights);
                StreamingClip clip = StreamingClip.of(adaptive.rule(), Backend.JAVA, 1);
                PrintStream nowhere = new PrintStream(OutputStream.nullOutputStream(), false, StandardCharsets.UTF_8);
                Progress progress = Progress.of(Terminal.plain(nowhere, nowhere), "clip", 8, 2)) {
            FileClip fileClip = new FileClip(file, parameters, OutputTarget.of(out), adaptive);
            Thread.sleep(50);
            new Gradients().floats("a", 1, 3).write(weights);
            IOException e = assertThrows(IOException.class, () -> fileClip.run(clip, progress));
            assertTrue(String.valueOf(e.getMessage()).startsWith(weights + ": "), e::toString);
        }
        assertEquals("old", Files.readString(out));
    }

    @Test
    void inputTruncatedWhileItIsClipped() throws Exception {
        for (int i = 0; i < ATTEMPTS; i++) {
            Path in = Gradients.sparse(folder.resolve("in"), ELEMENTS);
            Path out = out();
            Child child = Child.start("", "clip", in, "-o", out, "--clip-value", "1");
            boolean writing = child.awaitWriting(folder);
            truncate(in, 1 << 20);
            int code = child.await();
            if (!writing || code == ExitCode.DONE) continue;
            assertEquals(ExitCode.FAILURE, code, child::said);
            assertTrue(child.said().contains("while it was read"), child::said);
            assertEquals("old", Files.readString(out));
            assertEquals(Set.of("in", "out"), names());
            return;
        }
        assumeTrue(false, "the command ended before its input could be truncated");
    }

    private static void truncate(Path path, long size) throws IOException {
        try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
            file.setLength(size);
        }
    }
}
