// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.train;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** The byte limit: the program {@code limit.c}, compiled here for this machine, which passes over memory when asked. */
final class PlainC implements AutoCloseable {
    private static final List<String> COMPILER = List.of("cc", "-O3", "-march=native", "-std=gnu11", "-pthread");

    private final Path folder;
    private final Process process;
    private final BufferedReader answers;
    private final Writer requests;

    private PlainC(Path folder, Process process) {
        this.folder = folder;
        this.process = process;
        answers = process.inputReader(StandardCharsets.UTF_8);
        requests = process.outputWriter(StandardCharsets.UTF_8);
    }

    /**
     * Compiles and starts it for so many threads, elements and tensors of state beside the weights, in pages as tensors
     * have them or in huge ones; returns null where there is no C compiler.
     *
     * @throws IOException if the compiler refuses the program
     */
    static @Nullable PlainC start(int threads, long elements, int states, boolean huge) throws IOException {
        Path folder = Files.createTempDirectory("plain-c");
        try {
            Path program = compiled(folder);
            if (program != null) {
                List<String> command = List.of(
                        program.toString(),
                        Integer.toString(threads),
                        Long.toString(elements),
                        Integer.toString(states),
                        huge ? "huge" : "plain");
                ProcessBuilder.Redirect err = ProcessBuilder.Redirect.INHERIT;
                return new PlainC(
                        folder, new ProcessBuilder(command).redirectError(err).start());
            }
        } catch (IOException | RuntimeException e) {
            delete(folder);
            throw e;
        }
        delete(folder);
        return null;
    }

    private static @Nullable Path compiled(Path folder) throws IOException {
        Path source = folder.resolve("limit.c");
        try (InputStream c = PlainC.class.getResourceAsStream("limit.c")) {
            if (c == null) throw new IOException("limit.c is not beside " + PlainC.class);
            Files.copy(c, source);
        }
        Path program = folder.resolve("limit");
        List<String> command = new ArrayList<>(COMPILER);
        command.addAll(List.of(source.toString(), "-o", program.toString()));
        Process compiler;
        try {
            compiler = new ProcessBuilder(command).inheritIO().start();
        } catch (IOException e) {
            return null;
        }
        if (exitOf(compiler) != 0) throw new IOException("the C compiler refused it: " + String.join(" ", command));
        return program;
    }

    private static int exitOf(Process process) throws IOException {
        try {
            return process.waitFor();
        } catch (InterruptedException e) {
            process.destroy();
            Thread.currentThread().interrupt();
            throw new IOException("interrupted", e);
        }
    }

    private static void delete(Path folder) throws IOException {
        for (String name : List.of("limit.c", "limit")) Files.deleteIfExists(folder.resolve(name));
        Files.delete(folder);
    }

    /** Passes over the memory some times; returns the median microseconds of a pass. */
    double micros() throws IOException {
        requests.write("pass\n");
        requests.flush();
        String answer = answers.readLine();
        if (answer == null) throw new IOException("the program of the byte limit has ended");
        return Double.parseDouble(answer);
    }

    @Override
    public void close() throws IOException {
        // The end of its input ends it.
        requests.close();
        try {
            if (!process.waitFor(10, TimeUnit.SECONDS)) process.destroyForcibly();
        } catch (InterruptedException e) {
            process.destroyForcibly();
            Thread.currentThread().interrupt();
        }
        answers.close();
        delete(folder);
    }
}
