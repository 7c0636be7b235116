// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.javacpp;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** The example in docs/javacpp.md compiles against this build, runs, and clips. */
@ExtendWith(Torch.class)
class DocsExampleTest {
    @TempDir
    private Path folder = Path.of("");

    @Test
    void theExampleClips() throws Exception {
        String page = Files.readString(Path.of("../../docs/javacpp.md"));
        int from = page.indexOf("```java\n") + 8;
        Path source = folder.resolve("Example.java");
        Files.writeString(source, page.substring(from, page.indexOf("```", from)));
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home", ""), "bin", "java").toString(),
                "-cp",
                System.getProperty("java.class.path", ""),
                source.toString()));
        if (Runtime.version().feature() >= 22) command.add(1, "--enable-native-access=ALL-UNNAMED");
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertTrue(process.waitFor() == 0, output);
        assertEquals("2 gradients, clipped\n".repeat(3), output);
    }
}
