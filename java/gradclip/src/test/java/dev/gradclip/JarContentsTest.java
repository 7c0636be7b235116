// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The contents of the library's jar beside its classes. */
class JarContentsTest {
    private static final Path CLASSES = Path.of(System.getProperty("build.classes", "target/classes"));

    @ParameterizedTest
    @ValueSource(strings = {"LICENSE", "NOTICE"})
    void holdsTheLicenceAndTheNotices(String name) throws Exception {
        assertEquals(Files.readString(Path.of("../..", name)), Files.readString(CLASSES.resolve("META-INF/" + name)));
    }

    @Test
    void theNoticesNameWhatTheNativeLibrariesContain() throws Exception {
        String notice = Files.readString(CLASSES.resolve("META-INF/NOTICE"));
        for (String part : new String[] {"Highway", "CUDA runtime", "NVTX"}) assertTrue(notice.contains(part), part);
    }

    /** The library that emulates a device is for tests. */
    @Test
    void holdsNoEmulator() throws Exception {
        try (Stream<Path> files = Files.walk(CLASSES)) {
            assertTrue(files.noneMatch(file -> file.toString().contains("emulated")));
        }
    }
}
