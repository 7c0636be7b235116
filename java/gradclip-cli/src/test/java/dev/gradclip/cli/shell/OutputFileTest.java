// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.shell;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.gradclip.cli.Child;
import dev.gradclip.cli.Gradients;
import dev.gradclip.cli.Main;
import dev.gradclip.cli.Outcome;
import java.io.ByteArrayOutputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Tests where the output lands, and what becomes of a file that was there. */
class OutputFileTest {
    @TempDir
    Path folder;

    private Path in;
    private byte[] original;
    private byte[] zeroed;

    @BeforeEach
    void files() throws IOException {
        in = new Gradients().floats("a", 1, 2, 3).write(folder.resolve("in"));
        original = Files.readAllBytes(in);
        zeroed = new Gradients().floats("a", 0, 0, 0).build();
    }

    private Outcome clip(Path out) {
        return Outcome.of("clip", in, "-o", out, "--max-norm", "0");
    }

    private Set<String> names() throws IOException {
        try (var files = Files.list(folder)) {
            return files.map(f -> f.getFileName().toString()).collect(Collectors.toSet());
        }
    }

    @Test
    void outMayBeIn() throws IOException {
        clip(in).expect(ExitCode.DONE);
        assertArrayEquals(zeroed, Files.readAllBytes(in));
        assertEquals(Set.of("in"), names());
    }

    @Test
    void outMayBeALinkToIn() throws IOException {
        Path link = Files.createSymbolicLink(folder.resolve("link"), Path.of("in"));
        clip(link).expect(ExitCode.DONE);
        assertTrue(Files.isSymbolicLink(link));
        assertArrayEquals(zeroed, Files.readAllBytes(in));
    }

    @Test
    void symbolicLinksAreFollowed() throws IOException {
        Path target =
                Files.writeString(Files.createDirectory(folder.resolve("sub")).resolve("target"), "old");
        Files.createSymbolicLink(folder.resolve("first"), Path.of("sub/second"));
        Files.createSymbolicLink(folder.resolve("sub/second"), target.toAbsolutePath());
        clip(folder.resolve("first")).expect(ExitCode.DONE);
        assertArrayEquals(zeroed, Files.readAllBytes(target));
        assertTrue(Files.isSymbolicLink(folder.resolve("first")));
        assertTrue(Files.isSymbolicLink(folder.resolve("sub/second")));
        assertArrayEquals(original, Files.readAllBytes(in));
    }

    @Test
    void aLinkToNowhereIsFilled() throws IOException {
        Path link = Files.createSymbolicLink(folder.resolve("link"), Path.of("new"));
        clip(link).expect(ExitCode.DONE);
        assertTrue(Files.isSymbolicLink(link));
        assertArrayEquals(zeroed, Files.readAllBytes(folder.resolve("new")));
    }

    @Test
    void linksInACircle() throws IOException {
        Files.createSymbolicLink(folder.resolve("a"), Path.of("b"));
        Files.createSymbolicLink(folder.resolve("b"), Path.of("a"));
        clip(folder.resolve("a")).refused(ExitCode.USAGE, "links");
    }

    @Test
    void inMayBeALink() throws IOException {
        Path link = Files.createSymbolicLink(folder.resolve("link"), Path.of("in"));
        Outcome.of("clip", link, "-o", link, "--max-norm", "0").expect(ExitCode.DONE);
        assertTrue(Files.isSymbolicLink(link));
        assertArrayEquals(zeroed, Files.readAllBytes(in));
    }

    @ParameterizedTest
    @ValueSource(strings = {"rw-------", "rw-rw-rw-", "rwxr-x--x", "r--r-----"})
    void permissionsOfAnOlderFileStay(String permissions) throws IOException {
        boolean root = Files.isWritable(Path.of("/proc/sys/kernel/hostname"));
        assumeTrue(root || permissions.charAt(1) == 'w', "only root may write a read-only file");
        Path out = Files.writeString(folder.resolve("out"), "old");
        Files.setPosixFilePermissions(out, PosixFilePermissions.fromString(permissions));
        clip(out).expect(ExitCode.DONE);
        assertEquals(permissions, PosixFilePermissions.toString(Files.getPosixFilePermissions(out)));
        assertArrayEquals(zeroed, Files.readAllBytes(out));
    }

    @Test
    void aNewFileHasTheDefaultPermissions() throws IOException {
        Path out = folder.resolve("out");
        clip(out).expect(ExitCode.DONE);
        Path other = Files.createFile(folder.resolve("other"));
        assertEquals(Files.getPosixFilePermissions(other), Files.getPosixFilePermissions(out));
    }

    @Test
    void anUmaskHolds() throws Exception {
        Path out = folder.resolve("out");
        Child child = Child.start("umask 027; ", "clip", in, "-o", out, "--max-norm", "0");
        assertEquals(ExitCode.DONE, child.await(), child::said);
        assertEquals("rw-r-----", PosixFilePermissions.toString(Files.getPosixFilePermissions(out)));
    }

    @Test
    void anOlderFileSurvivesAnyFailure() throws IOException {
        Path out = Files.writeString(folder.resolve("out"), "old");
        Gradients.write(in, new Gradients().floats("a", Float.NaN).build());
        Outcome.of("clip", in, "-o", out, "--max-norm", "1", "--error-if-nonfinite")
                .refused(ExitCode.NON_FINITE);
        Gradients.write(in, new byte[9]);
        clip(out).refused(ExitCode.USAGE);
        assertEquals("old", Files.readString(out));
        assertEquals(Set.of("in", "out"), names());
    }

    @Test
    void aDirectoryIsRefused() throws IOException {
        clip(folder).refused(ExitCode.USAGE, "is a directory");
        assertEquals(Set.of("in"), names());
    }

    @Test
    void aFifoOrDeviceIsRefused() throws Exception {
        Path fifo = folder.resolve("fifo");
        assumeTrue(new ProcessBuilder("mkfifo", fifo.toString()).start().waitFor() == 0, "mkfifo");
        clip(fifo).refused(ExitCode.USAGE, "not a regular file");
        clip(Path.of("/dev/null")).refused(ExitCode.USAGE, "not a regular file");
        assertEquals(Set.of("in", "fifo"), names());
    }

    /** Renaming over what such a path leads to would put another file in the place of one that is being appended to. */
    @Test
    void streamsAndDevicesAreRefusedThroughAnyLink() throws IOException {
        assumeTrue(Files.isDirectory(Path.of("/proc/self/fd")), "/proc");
        Path precious = folder.resolve("precious");
        Path folders = Files.createSymbolicLink(folder.resolve("folders"), Path.of("/dev/fd"));
        try (FileOutputStream stream = new FileOutputStream(precious.toFile())) {
            stream.write("old".getBytes(StandardCharsets.UTF_8));
            String number = descriptorOf(precious);
            for (Path out : List.of(
                    Path.of("/proc/self/fd", number),
                    Path.of("/dev/fd", number),
                    folders.resolve(number),
                    Files.createSymbolicLink(folder.resolve("link"), Path.of("/proc/self/fd", number)),
                    Path.of("/dev/stdout"),
                    Path.of("/dev/new"))) {
                clip(out).refused(ExitCode.USAGE, out + ": the output is a stream or a device", "write to a file");
            }
        }
        assertEquals("old", Files.readString(precious));
        Files.delete(folders);
        assertEquals(Set.of("in", "precious", "link"), names());
    }

    private static String descriptorOf(Path file) throws IOException {
        try (var descriptors = Files.newDirectoryStream(Path.of("/proc/self/fd"))) {
            for (Path link : descriptors) {
                if (Files.exists(link) && Files.isSameFile(link, file))
                    return link.getFileName().toString();
            }
        }
        throw new AssertionError(file + " is not open");
    }

    @Test
    void sharedMemoryHoldsFiles() throws IOException {
        Path memory = Path.of("/dev/shm");
        assumeTrue(Files.isWritable(memory), "/dev/shm");
        Path inMemory = Files.createTempDirectory(memory, "gradclip-test");
        try {
            Path out = inMemory.resolve("out");
            clip(out).expect(ExitCode.DONE);
            assertArrayEquals(zeroed, Files.readAllBytes(out));
            Files.delete(out);
        } finally {
            Files.delete(inMemory);
        }
    }

    @Test
    void aMissingFolderIsRefused() {
        clip(folder.resolve("none/out")).refused(ExitCode.USAGE, "no folder");
    }

    @Test
    void aFolderThatMayNotBeWritten() throws IOException {
        Path closed = Files.createDirectory(folder.resolve("closed"));
        Files.setPosixFilePermissions(closed, PosixFilePermissions.fromString("r-xr-xr-x"));
        assumeFalse(Files.isWritable(closed), "root may write everywhere");
        clip(closed.resolve("out")).refused(ExitCode.FAILURE, "may not write");
    }

    @Test
    void namesAsLongAsMayBe() throws IOException {
        Path out = folder.resolve("n".repeat(255));
        clip(out).expect(ExitCode.DONE);
        assertArrayEquals(zeroed, Files.readAllBytes(out));
    }

    @Test
    void aNameWithoutFolder() throws IOException {
        OutputTarget target = OutputTarget.of(Path.of("gradclip-test-output"));
        assertEquals(Path.of("").toAbsolutePath(), target.folder());
    }

    @Test
    void failuresNameTheFileAsTheUserDid() throws IOException {
        Path wish = Path.of("wish");
        OutputTarget nowhere = new OutputTarget(wish, folder.resolve("none/out"), folder.resolve("none"), null);
        IOException e = assertThrows(IOException.class, () -> AtomicOutput.create(nowhere));
        assertEquals("wish: cannot be written, and is as it was: there is no such file or folder", e.getMessage());
        Files.createDirectories(folder.resolve("taken/by"));
        OutputTarget taken = new OutputTarget(wish, folder.resolve("taken"), folder, null);
        try (AtomicOutput output = AtomicOutput.create(taken)) {
            e = assertThrows(IOException.class, output::commit);
        }
        String said = String.valueOf(e.getMessage());
        assertTrue(said.startsWith("wish: cannot be written, and is as it was: ") && !said.contains(".tmp"), said);
        assertEquals(Set.of("in", "taken"), names());
        assertEquals("x: there is no such file or folder", Failures.message(new NoSuchFileException("x")));
        assertEquals("x: permission denied", Failures.message(new AccessDeniedException("x")));
    }

    /** Run again, in place, the command would clip twice. */
    @Test
    void aReportThatIsLostDoesNotHideThatTheOutputIsWritten() throws IOException {
        for (String format : List.of("text", "json")) {
            Gradients.write(in, original);
            ByteArrayOutputStream err = new ByteArrayOutputStream();
            int code = Main.run(
                    new String[] {"clip", in.toString(), "-o", in.toString(), "--max-norm", "0", "--format", format},
                    new PrintStream(new FullDisk(), false, StandardCharsets.UTF_8),
                    new PrintStream(err, true, StandardCharsets.UTF_8));
            assertEquals(ExitCode.FAILURE, code);
            assertEquals(
                    "gradclip: error: " + in + ": is written, but standard output cannot be written\n",
                    err.toString(StandardCharsets.UTF_8));
            assertArrayEquals(zeroed, Files.readAllBytes(in));
        }
    }

    private static final class FullDisk extends OutputStream {
        @Override
        public void write(int b) throws IOException {
            throw new IOException("No space left on device");
        }
    }

    private Child clipWhereFsyncFails(String how, Path out) throws Exception {
        Path library = folder.resolve("fsync-fails.so");
        Path source = folder.resolve("fsync-fails.c");
        try (InputStream code = OutputFileTest.class.getResourceAsStream("/fsync-fails.c")) {
            if (code != null) Files.copy(code, source);
        }
        try {
            Process compiler = new ProcessBuilder(
                            "cc", "-shared", "-fPIC", "-o", library.toString(), source.toString(), "-ldl")
                    .start();
            assumeTrue(compiler.waitFor() == 0, "a C compiler");
        } catch (IOException e) {
            assumeTrue(false, "a C compiler");
        }
        String setup = "export LC_ALL=C FSYNC_FAILS=" + how + " LD_PRELOAD='" + library + "'; ";
        return Child.start(setup, "clip", in, "-o", out, "--max-norm", "0");
    }

    private static final int EIO = 5;
    private static final int EINVAL = 22;

    @Test
    void aFileThatCannotBeSyncedIsNotPutInPlace() throws Exception {
        Path out = Files.writeString(folder.resolve("out"), "old");
        Child child = clipWhereFsyncFails("f" + EIO, out);
        assertEquals(ExitCode.FAILURE, child.await(), child::said);
        assertTrue(
                child.said().contains(out + ": cannot be written, and is as it was: Input/output error"), child::said);
        assertEquals("old", Files.readString(out));
        assertEquals(Set.of("in", "out", "fsync-fails.c", "fsync-fails.so"), names());
    }

    @Test
    void aFolderThatCannotBeSynced() throws Exception {
        Child child = clipWhereFsyncFails("d" + EIO, in);
        assertEquals(ExitCode.FAILURE, child.await(), child::said);
        assertTrue(child.said().contains(in + ": is written, but its folder cannot be synced"), child::said);
        assertTrue(child.said().contains("Input/output error"), child::said);
        assertArrayEquals(zeroed, Files.readAllBytes(in));
    }

    @Test
    void aFileSystemWhoseFoldersNeedNoSync() throws Exception {
        Child child = clipWhereFsyncFails("d" + EINVAL, in);
        assertEquals(ExitCode.DONE, child.await(), child::said);
        assertArrayEquals(zeroed, Files.readAllBytes(in));
    }

    @Test
    void whatIsNotCommittedIsRemoved() throws IOException {
        Path out = folder.resolve("out");
        try (AtomicOutput output = AtomicOutput.create(OutputTarget.of(out))) {
            output.write(ByteBuffer.wrap(original));
            assertEquals(2, names().size());
        }
        assertFalse(Files.exists(out));
        assertEquals(Set.of("in"), names());
    }
}
