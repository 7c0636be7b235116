// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.shell;

import dev.gradclip.Backend;
import java.io.IOException;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** The options that choose who does the work; neither changes a bit of what is written. */
public final class BackendOptions extends Refusals {
    private static final int MOST_THREADS = 1024;

    /** The words that {@code --backend} takes. */
    public enum Choice {
        AUTO,
        JAVA,
        NATIVE,
        CUDA
    }

    @Option(
            names = "--backend",
            paramLabel = "auto|java|native|cuda",
            description = "who does the work (default: auto, the fastest that is available)")
    private Choice choice = Choice.AUTO;

    @Option(names = "--threads", paramLabel = "N", description = "how many threads work (default: all processors)")
    private @Nullable Integer threads;

    /**
     * Returns the backend that was asked for, else the preferred one.
     *
     * @throws IOException if the one that was asked for can't run here
     */
    public Backend backend() throws IOException {
        return choice == Choice.AUTO ? Backend.preferred() : chosen(choice);
    }

    /**
     * Returns the backend that was asked for, or, for {@link Choice#AUTO}, all of those named that are available.
     *
     * @throws IOException if the one that was asked for can't run here
     */
    public static List<Backend> chosen(Choice choice, Backend... automatic) throws IOException {
        return choice == Choice.AUTO
                ? Stream.of(automatic).filter(Backend::isAvailable).toList()
                : List.of(chosen(choice));
    }

    private static Backend chosen(Choice choice) throws IOException {
        Backend backend = Backend.valueOf(choice.name());
        if (backend.isAvailable()) return backend;
        // The library's own message would name constants.
        throw new IOException("--backend " + name(backend) + " is not available: " + why(backend));
    }

    private static String why(Backend backend) {
        if (backend == Backend.NATIVE && !missing().isEmpty()) return missing();
        return backend.reason() + "; 'gradclip info' tells what to do";
    }

    /** Tells if either was given. */
    public boolean isChosen() {
        return choice != Choice.AUTO || threads != null;
    }

    /** Returns the number of threads; 0 for the library's default. */
    public int threads() {
        return threads == null ? 0 : checked(BackendOptions::requireThreads, threads);
    }

    /**
     * Returns the number of threads.
     *
     * @throws IllegalArgumentException if there cannot be so many
     */
    public static int requireThreads(int threads) {
        if (threads >= 1 && threads <= MOST_THREADS) return threads;
        throw new IllegalArgumentException("--threads must be 1 to " + MOST_THREADS + ", but is " + threads);
    }

    public void sayFallback(Terminal terminal) {
        sayFallback(terminal, choice);
    }

    /** Says in a line that plain Java worked where nobody asked for it, and why. */
    public static void sayFallback(Terminal terminal, Choice choice) {
        if (choice != Choice.AUTO || Backend.NATIVE.isAvailable()) return;
        terminal.out().println("plain Java did the work, not native code: " + why(Backend.NATIVE));
    }

    /** Returns what the launcher's build lacked, or nothing; a jar knows only that it holds no library. */
    public static String missing() {
        return System.getProperty("gradclip.missing", "");
    }

    public static String name(Backend backend) {
        return backend.name().toLowerCase(Locale.ROOT);
    }

    /** Returns the vector instructions that native code uses, or {@code none}. */
    public static String simd() {
        return Backend.NATIVE.details().getOrDefault("simd", "none");
    }
}
