// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The README's Java examples compile against this build, run, and clip. */
class ReadmeExamplesTest {
    private static final String BEFORE = """
            import dev.gradclip.*;
            public class Example {
                static float[] weights = new float[100], biases = new float[10];
                static void backward() { java.util.Arrays.fill(weights, 3f); java.util.Arrays.fill(biases, -4f); }
                static void update() {
                    double sum = 0;
                    for (float x : weights) sum += x * x;
                    for (float x : biases) sum += x * x;
                    System.out.println(Math.abs(Math.sqrt(sum) - 1) < 1e-5 ? "clipped" : "norm " + Math.sqrt(sum));
                }
                public static void main(String[] args) {
            """;

    @TempDir
    private Path folder = Path.of("");

    @Test
    void examplesCompileAndClip() throws Exception {
        String readme = Files.readString(Path.of("../../README.md"));
        List<String> examples = Pattern.compile("```java\n(.*?)```", Pattern.DOTALL)
                .matcher(readme)
                .results()
                .map((MatchResult r) -> r.group(1))
                .toList();
        assertEquals(3, examples.size());
        assertEquals("clipped", run("backward();\n" + examples.get(0) + "update();\n"));
        assertEquals("clipped\nclipped\nclipped", run(examples.get(1)));
        String given = "long address = 0, length = 0, stream = 0; Object tensor = args;\n";
        assertEquals(
                "", run(given + "if (args.length > 0) {" + examples.get(2) + "}\n"), "compiled; it needs a device");
    }

    private String run(String body) throws Exception {
        Path source = folder.resolve("Example.java");
        Files.writeString(source, BEFORE + body + "}}\n");
        Path bin = Path.of(System.getProperty("java.home", ""), "bin");
        execute(List.of(bin.resolve("javac").toString(), "-cp", ChildJvm.classPath(), source.toString()));
        String classPath = folder + ":" + ChildJvm.classPath();
        List<String> java = new ArrayList<>(List.of(bin.resolve("java").toString(), "-cp", classPath));
        if (Runtime.version().feature() >= 22) java.add(1, "--enable-native-access=ALL-UNNAMED");
        java.add("Example");
        return execute(java);
    }

    private static String execute(List<String> command) throws Exception {
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
        assertTrue(process.waitFor() == 0, () -> command + "\n" + output);
        return output;
    }
}
