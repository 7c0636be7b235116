// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;

/** The command in a JVM of its own, for what only a process can show: signals, limits, its mask. */
public record Child(Process process, Path log) {
    /** Starts it in a shell after the setup given, such as {@code ulimit -f 10; }. */
    public static Child start(String setup, Object... args) throws IOException {
        return start(Main.class, setup, args);
    }

    /** Another program of these classes. */
    public static Child start(Class<?> program, String setup, Object... args) throws IOException {
        String classPath = System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));
        Path java = Path.of(System.getProperty("java.home"), "bin", "java");
        String command = Arrays.stream(args).map(a -> quoted(a.toString())).collect(Collectors.joining(" "));
        Path log = Files.createTempFile("gradclip-child", ".log");
        log.toFile().deleteOnExit();
        ProcessBuilder builder = new ProcessBuilder(
                "sh",
                "-c",
                setup + "exec " + quoted(java.toString()) + " -XX:-UsePerfData -Xmx256m -cp " + quoted(classPath) + " "
                        + program.getName() + " " + command);
        builder.environment().remove("JAVA_TOOL_OPTIONS");
        return new Child(
                builder.redirectErrorStream(true).redirectOutput(log.toFile()).start(), log);
    }

    public int await() throws InterruptedException {
        if (!process.waitFor(60, TimeUnit.SECONDS)) {
            process.destroyForcibly();
            throw new AssertionError("the command did not end: " + said());
        }
        return process.exitValue();
    }

    /** Waits until it has said something, which it must before it ends. */
    public void awaitSaid(String text) throws InterruptedException {
        while (!said().contains(text)) {
            if (!process.isAlive()) throw new AssertionError("the command ended: " + said());
            Thread.sleep(5);
        }
    }

    public String said() {
        try {
            return Files.readString(log, StandardCharsets.UTF_8);
        } catch (IOException e) {
            return e.toString();
        }
    }

    private static String quoted(String text) {
        return "'" + text.replace("'", "'\\''") + "'";
    }
}
