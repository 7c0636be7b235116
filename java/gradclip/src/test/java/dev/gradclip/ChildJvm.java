// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** Another JVM that runs a test program on this build's classes. */
final class ChildJvm {
    private final Process process;

    private ChildJvm(Process process) {
        this.process = process;
    }

    /** Returns the folders of classes that a child finds after the ones given to it. */
    static String classPath() {
        return System.getProperty("build.classes", "target/classes") + ":"
                + System.getProperty("build.testClasses", "target/test-classes");
    }

    /** Starts the program under JVM options, with a folder before the class path if there is one. */
    static ChildJvm start(List<String> options, String classPathBefore, Class<?> program, String... arguments) {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home", ""), "bin", "java").toString());
        command.add("-Xmx256m");
        command.add("-XX:TieredStopAtLevel=1");
        if (Runtime.version().feature() >= 22) command.add("--enable-native-access=ALL-UNNAMED");
        command.addAll(options);
        command.add("-cp");
        command.add(classPathBefore.isEmpty() ? classPath() : classPathBefore + ":" + classPath());
        command.add(program.getName());
        command.addAll(List.of(arguments));
        try {
            return new ChildJvm(
                    new ProcessBuilder(command).redirectErrorStream(true).start());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static String run(List<String> options, Class<?> program, String... arguments) {
        return start(options, "", program, arguments).output();
    }

    /** Returns the output of the child, once it has ended well. */
    String output() {
        try {
            process.getOutputStream().close();
            String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            if (!process.waitFor(60, TimeUnit.SECONDS)) throw new AssertionError("still running: " + output);
            if (process.exitValue() != 0) throw new AssertionError("exit " + process.exitValue() + ": " + output);
            return output;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        } finally {
            process.destroyForcibly();
        }
    }
}
