// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.gradclip.internal.jni.NativeLevels;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The native library is found, checked and refused, each in a JVM of its own. */
@Timeout(120)
class NativeLoadingTest {
    private static final Path NATIVE = Path.of(System.getProperty("native.dir", "target/native"));
    private static final String RESOURCES = "dev/gradclip/internal/native";

    @TempDir
    Path folder;

    @BeforeEach
    void needsTheLibrary() {
        assumeTrue(Backend.NATIVE.isAvailable(), "the native library is not built");
    }

    /** Runs the probe with a temporary folder of its own, free of other JVMs' files, unless the options name one. */
    private String probe(String... options) {
        return probe(List.of(options));
    }

    private String probe(List<String> options, String... arguments) {
        List<String> all = new ArrayList<>();
        all.add("-Djava.io.tmpdir=" + folder);
        all.addAll(options);
        return ChildJvm.run(all, LoadingProbe.class, arguments);
    }

    private static void assertSays(String output, String... lines) {
        for (String line : lines) assertTrue(output.contains(line), () -> "no '" + line + "' in:\n" + output);
    }

    /** Checks that the library is unavailable, for the same reason each time, and that plain Java works. */
    private static void assertRefused(String output, String reason) {
        assertSays(output, "available=false", "preferred=JAVA", "norm=5.0", "native=refused: backend NATIVE", reason);
        String first =
                output.lines().filter(l -> l.startsWith("reason=")).findFirst().orElse("");
        assertSays(output, "again=" + first.substring(7), "address=refused: backend NATIVE", "remedy=", "left=[]");
        assertTrue(!output.contains("remedy=\n"), output);
    }

    private static void assertLoaded(String output) {
        assertSays(output, "available=true", "preferred=NATIVE", "norm=5.0", "native=5.0", "address=taken", "left=[]");
    }

    /** Folders of JVMs that were killed while loading are removed once they are a day old; nothing else is touched. */
    @Test
    void removesWhatKilledJvmsLeft() throws IOException {
        Path stale = leftover("gradclip-1234", 25);
        Path fresh = leftover("gradclip-5678", 23);
        Path named = leftover("gradclip-mine", 25);
        Path full = leftover("gradclip-9", 25);
        Files.writeString(full.resolve("notes.txt"), "mine");
        Files.setLastModifiedTime(full, hoursAgo(25));
        Path target = Files.createDirectory(folder.resolve("target"));
        Files.writeString(target.resolve("libgradclip.so"), "linked");
        Path link = Files.createSymbolicLink(folder.resolve("gradclip-77"), target);
        Files.setLastModifiedTime(target, hoursAgo(25));
        assertSays(probe("-Djava.io.tmpdir=" + folder), "available=true");
        assertTrue(Files.notExists(stale), "left");
        for (Path kept : List.of(fresh, named))
            assertTrue(Files.exists(kept.resolve("libgradclip.so")), kept::toString);
        assertTrue(Files.exists(full.resolve("notes.txt")));
        assertTrue(Files.exists(link.resolve("libgradclip.so")));
    }

    private Path leftover(String name, int hours) throws IOException {
        Path left = Files.createDirectory(folder.resolve(name));
        Files.writeString(left.resolve("libgradclip.so"), "half");
        Files.setLastModifiedTime(left, hoursAgo(hours));
        return left;
    }

    private static FileTime hoursAgo(int hours) {
        return FileTime.from(Instant.now().minus(Duration.ofHours(hours)));
    }

    /** A name that is not ASCII is no path under the POSIX locale. */
    @Test
    void aFolderWhoseNameIsNoPath() {
        String output = probe(List.of(), LoadingProbe.NO_PATH);
        assertRefused(output, "reason=the library could not be loaded: java.nio.file.InvalidPathException");
    }

    @Test
    void fromTheJarIntoAFolderThatIsGoneAfterwards() throws IOException {
        assertLoaded(probe("-Djava.io.tmpdir=" + folder));
        try (Stream<Path> left = Files.list(folder)) {
            assertEquals(
                    List.of(),
                    left.filter(p -> p.toString().contains("gradclip")).toList());
        }
    }

    /** The library in the class path is a pipe, so that the JVM waits while the folder is looked at. */
    @Test
    void theFolderIsPrivateWhileItExists() throws Exception {
        Path platform = platformFolder();
        Path pipe = platform.resolve("libgradclip.so");
        try {
            assumeTrue(new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor() == 0, "mkfifo");
        } catch (IOException e) {
            assumeTrue(false, "mkfifo: " + e);
        }
        Files.copy(NATIVE.resolve("gradclip.build-id"), platform.resolve("gradclip.build-id"));
        Path temporary = Files.createDirectory(folder.resolve("tmp"));
        ChildJvm child = ChildJvm.start(
                List.of("-Djava.io.tmpdir=" + temporary),
                folder.resolve("classes").toString(),
                LoadingProbe.class);
        try (OutputStream out = Files.newOutputStream(pipe)) {
            List<Path> folders;
            try (Stream<Path> list = Files.list(temporary)) {
                folders = list.filter(p -> p.getFileName().toString().startsWith("gradclip-"))
                        .toList();
            }
            assertEquals(1, folders.size());
            assertEquals("rwx------", PosixFilePermissions.toString(Files.getPosixFilePermissions(folders.get(0))));
            Files.copy(NATIVE.resolve("libgradclip.so"), out);
        }
        assertLoaded(child.output());
    }

    private Path platformFolder() throws IOException {
        Path inClasses = Path.of(System.getProperty("build.classes", "target/classes"), RESOURCES);
        try (Stream<Path> platforms = Files.list(inClasses)) {
            String platform = platforms.findFirst().orElseThrow().getFileName().toString();
            return Files.createDirectories(
                    folder.resolve("classes").resolve(RESOURCES).resolve(platform));
        }
    }

    @Test
    void aFolderOfTheUsersIsUsedAlone() throws IOException {
        String right = probe("-Ddev.gradclip.native.path=" + NATIVE.toAbsolutePath());
        assertLoaded(right);
        assertSays(right, "loaded from " + NATIVE.toAbsolutePath().resolve("libgradclip.so"));
        assertRefused(probe("-Ddev.gradclip.native.path=" + folder.resolve("nowhere")), "does not exist");
        Files.writeString(folder.resolve("libgradclip.so"), "this is no library");
        assertRefused(probe("-Ddev.gradclip.native.path=" + folder), "libgradclip.so");
    }

    @Test
    void anotherLibraryOfThatNameIsRefused() throws IOException {
        Files.copy(NATIVE.resolve("test").resolve("libgradclip_testsupport.so"), folder.resolve("libgradclip.so"));
        assertRefused(probe("-Ddev.gradclip.native.path=" + folder), "UnsatisfiedLinkError");
    }

    @Test
    void aLibraryOfAnotherBuildIsRefused() throws IOException {
        Files.writeString(platformFolder().resolve("gradclip.build-id"), "0.0.1+0123456789ab\n");
        for (List<String> options :
                List.of(List.<String>of(), List.of("-Ddev.gradclip.native.path=" + NATIVE.toAbsolutePath()))) {
            List<String> all = new ArrayList<>(options);
            all.add("-Djava.io.tmpdir=" + folder); // where no other JVM leaves files
            String output = ChildJvm.start(all, folder.resolve("classes").toString(), LoadingProbe.class)
                    .output();
            assertRefused(output, "this jar's is 0.0.1+0123456789ab");
        }
    }

    @Test
    void everySimdLevelCanBeForcedAndNoOther() {
        for (String level : NativeLevels.names()) {
            String output = probe("-Ddev.gradclip.simd=" + level);
            assertLoaded(output);
            assertSays(output, "simd=" + level + ",");
        }
        String output = probe("-Ddev.gradclip.simd=v9");
        assertRefused(output, "v9");
        assertSays(output, "Choose one of: " + String.join(" ", NativeLevels.names()));
    }

    @Test
    void aPlatformWithoutALibraryRunsPlainJava() {
        assertRefused(probe("-Dos.arch=pdp11"), "linux-pdp11");
    }

    @Test
    void aTemporaryFolderThatIsNotThereIsNamed() {
        Path missing = folder.resolve("missing");
        // The probe lists the folder itself last, and fails there.
        ChildJvm child = ChildJvm.start(List.of("-Djava.io.tmpdir=" + missing), "", LoadingProbe.class);
        AssertionError e = org.junit.jupiter.api.Assertions.assertThrows(AssertionError.class, child::output);
        assertSays(String.valueOf(e.getMessage()), "available=false", "preferred=JAVA", "norm=5.0", missing.toString());
    }

    @Test
    void aTemporaryFolderMountedNoexecIsNamedWithTheRemedy() throws Exception {
        Process mount;
        try {
            mount = new ProcessBuilder("mount", "-t", "tmpfs", "-o", "noexec", "tmpfs", folder.toString())
                    .redirectErrorStream(true)
                    .start();
        } catch (IOException e) {
            assumeTrue(false, "mount: " + e);
            return;
        }
        boolean mounted = mount.waitFor(10, TimeUnit.SECONDS) && mount.exitValue() == 0;
        assumeTrue(mounted, "only root may mount");
        try {
            String output = probe("-Djava.io.tmpdir=" + folder);
            assertRefused(output, "mounted noexec");
            assertSays(output, folder.toString(), "-Djava.io.tmpdir", "-Ddev.gradclip.native.path");
        } finally {
            new ProcessBuilder("umount", folder.toString()).start().waitFor();
        }
    }

    @Test
    void jvmsStartingTogetherNeverMeet() {
        List<ChildJvm> children = new ArrayList<>();
        for (int i = 0; i < 12; i++) {
            // The JVMs share the folder, so one may still list what another is about to delete.
            children.add(ChildJvm.start(List.of("-Djava.io.tmpdir=" + folder), "", LoadingProbe.class));
        }
        for (ChildJvm child : children) {
            assertSays(child.output(), "available=true", "native=5.0");
        }
        String[] left = folder.toFile().list((dir, name) -> name.startsWith("gradclip-"));
        assertEquals(0, left == null ? -1 : left.length);
    }
}
