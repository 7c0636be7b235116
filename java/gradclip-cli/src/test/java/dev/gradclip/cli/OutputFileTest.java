// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Where the output lands, and what becomes of what was there. */
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
