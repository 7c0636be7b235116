// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.djl;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The example in docs/djl.md compiles against this build, runs, and clips. */
class DocsExampleTest {
    @TempDir
    private Path folder = Path.of("");

    @Test
    void theExampleClips() throws Exception {
        String page = Files.readString(Path.of("../../docs/djl.md"));
        int from = page.indexOf("```java\n") + 8;
        Path source = folder.resolve("Example.java");
        Files.writeString(source, page.substring(from, page.indexOf("```", from)));
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home", ""), "bin", "java").toString(),
                "-DOPT_OUT_TRACKING=true",
                "-cp",
                System.getProperty("java.class.path", ""),
                source.toString()));
        if (Runtime.version().feature() >= 22) command.add(1, "--enable-native-access=ALL-UNNAMED");
        File log = folder.resolve("log").toFile();
        Process process = new ProcessBuilder(command).redirectError(log).start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertTrue(process.waitFor() == 0, output + Files.readString(log.toPath()));
        assertEquals("4 gradients, clipped\n".repeat(3), output);
    }
}
