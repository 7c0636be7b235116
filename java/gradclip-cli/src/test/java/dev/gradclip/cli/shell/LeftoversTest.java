// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.shell;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.gradclip.cli.Child;
import dev.gradclip.cli.Gradients;
import dev.gradclip.cli.Outcome;
import dev.gradclip.cli.clip.StuckClip;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Tests that a run removes the leftovers of a killed one, and nothing else. */
class LeftoversTest {
    private final FileTime old = FileTime.from(Instant.now().minus(Leftovers.AGE.multipliedBy(2)));

    @TempDir
    Path folder;

    private Path in;

    @BeforeEach
    void files() {
        in = new Gradients().floats("a", 1, 2).floats("b", 3).write(folder.resolve("in"));
    }

    private void clip() {
        Outcome.of("clip", in, "-o", folder.resolve("out"), "--max-norm", "1").expect(ExitCode.DONE);
    }

    private Set<String> names() throws IOException {
        try (var files = Files.list(folder)) {
            return files.map(f -> f.getFileName().toString()).collect(Collectors.toSet());
        }
    }

    private Path file(String name, FileTime time) throws IOException {
        Path file = Files.writeString(folder.resolve(name), "half");
        return Files.setLastModifiedTime(file, time);
    }

    @Test
    void whatAKilledRunLeftIsRemoved() throws IOException {
        file(Leftovers.name(1), old);
        Files.setPosixFilePermissions(file(Leftovers.name(-1), old), PosixFilePermissions.fromString("r--------"));
        clip();
        assertEquals(Set.of("in", "out"), names());
    }

    @Test
    void nothingElseIsRemoved() throws IOException {
        Set<String> stay = new HashSet<>(Set.of("in", "out"));
        for (String name : List.of(
                ".gradclip-0123456789abcde.tmp",
                ".gradclip-0123456789abcdef0.tmp",
                ".gradclip-0123456789ABCDEF.tmp",
                ".gradclip-0123456789abcdeg.tmp",
                ".gradclip-0123456789abcdef.tmp~",
                ".gradclip-0123456789abcdef.tmp\n",
                "a.gradclip-0123456789abcdef.tmp",
                ".gradclip-.tmp",
                ".gradclip-thesis.tmp")) {
            file(name, old);
            stay.add(name);
        }
        Files.createFile(folder.resolve(Leftovers.name(1)));
        Files.setLastModifiedTime(Files.createDirectory(folder.resolve(Leftovers.name(2))), old);
        Path target = file("target", old);
        Files.createSymbolicLink(folder.resolve(Leftovers.name(3)), target);
        stay.addAll(List.of(Leftovers.name(1), Leftovers.name(2), Leftovers.name(3), "target"));
        clip();
        assertEquals(stay, names());
    }

    @Test
    void anothersFileIsNotRemoved() throws IOException {
        Path other = file(Leftovers.name(1), old);
        try {
            Files.setAttribute(other, "unix:uid", 54321, LinkOption.NOFOLLOW_LINKS);
        } catch (IOException e) {
            assumeTrue(false, "only root may give files away");
        }
        clip();
        assertTrue(Files.exists(other));
    }

    @Test
    void whatThisProcessWritesIsNotRemoved() throws IOException {
        Path other = folder.resolve("other");
        try (AtomicOutput output = AtomicOutput.create(OutputTarget.of(other))) {
            Set<String> temporary = names();
            temporary.remove("in");
            Files.setLastModifiedTime(folder.resolve(temporary.iterator().next()), old);
            clip();
            output.commit();
        }
        assertEquals(Set.of("in", "out", "other"), names());
    }

    @Test
    void ageCountsWhereLocksMayNotReach() throws IOException {
        assumeTrue(Leftovers.isLocal(folder), "a file system of this machine");
        assertFalse(Leftovers.isLocal(Path.of("/proc")));
        file(Leftovers.name(1), FileTime.from(Instant.now()));
        clip();
        assertEquals(Set.of("in", "out"), names());
    }

    @Test
    void whatAnotherProcessWritesIsRemovedOnceItIsKilled() throws Exception {
        Child writer = Child.start(StuckClip.class, "", in, folder.resolve("other"), "--clip-value", "1");
        try {
            writer.awaitSaid("stuck");
            Set<String> temporary = names();
            temporary.remove("in");
            Path written = folder.resolve(temporary.iterator().next());
            Files.setLastModifiedTime(written, old);
            clip();
            assertTrue(Files.exists(written));
            writer.process().destroyForcibly().waitFor();
            assertTrue(Files.exists(written));
            clip();
            assertEquals(Set.of("in", "out"), names());
        } finally {
            writer.process().destroyForcibly();
        }
    }
}
