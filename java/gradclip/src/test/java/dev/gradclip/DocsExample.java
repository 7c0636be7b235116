// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;

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
        List<String> examples = examples(page);
        if (number > examples.size()) throw new IOException("docs/" + page + " has no example " + number);
        return runProgram(examples.get(number - 1), folder, jvmOptions);
    }

    /** Returns the Java examples of a page, in their order. */
    public static List<String> examples(String page) throws IOException {
        return Pattern.compile("```java\n(.*?)```", Pattern.DOTALL)
                .matcher(Files.readString(Path.of("../../docs", page)))
                .results()
                .map((MatchResult r) -> r.group(1))
                .toList();
    }

    /** Compiles and runs a program in a folder of its own. */
    public static DocsExample runProgram(String program, Path folder, String... jvmOptions)
            throws IOException, InterruptedException {
        Path source = folder.resolve("Example.java");
        Files.writeString(source, program);
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home", ""), "bin", "java").toString());
        if (Runtime.version().feature() >= 22) command.add("--enable-native-access=ALL-UNNAMED");
        command.addAll(List.of(jvmOptions));
        // The library's own tests have it on the module path.
        String classPath = System.getProperty("java.class.path", "") + ":" + ChildJvm.classPath();
        command.addAll(List.of("-cp", classPath, source.toString()));
        Path errors = folder.resolve("errors");
        Process process =
                new ProcessBuilder(command).redirectError(errors.toFile()).start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        return new DocsExample(process.waitFor(), output, Files.readString(errors));
    }
}
