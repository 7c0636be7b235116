// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * A Java example of a page in docs/, run as a program on this test's class path; for the tests of adapters too.
 *
 * @param exit the exit code
 * @param output the text on standard output
 * @param errors the text on standard error
 */
public record DocsExample(int exit, String output, String errors) {
    /** Compiles and runs the first example in a folder of its own. */
    public static DocsExample run(String page, Path folder, String... jvmOptions)
            throws IOException, InterruptedException {
        return run(page, 1, folder, jvmOptions);
    }

    /** Compiles and runs an example, counted from 1, in a folder of its own. */
    public static DocsExample run(String page, int number, Path folder, String... jvmOptions)
            throws IOException, InterruptedException {
        String text = Files.readString(Path.of("../../docs", page));
        int from = 0;
        for (int i = 0; i < number; i++) {
            int start = text.indexOf("```java\n", from);
            if (start < 0) throw new IOException("docs/" + page + " has no example " + number);
            from = start + 8;
        }
        Path source = folder.resolve("Example.java");
        Files.writeString(source, text.substring(from, text.indexOf("```", from)));
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home", ""), "bin", "java").toString());
        if (Runtime.version().feature() >= 22) command.add("--enable-native-access=ALL-UNNAMED");
        command.addAll(List.of(jvmOptions));
        command.addAll(List.of("-cp", System.getProperty("java.class.path", ""), source.toString()));
        Path errors = folder.resolve("errors");
        Process process =
                new ProcessBuilder(command).redirectError(errors.toFile()).start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        return new DocsExample(process.waitFor(), output, Files.readString(errors));
    }
}
