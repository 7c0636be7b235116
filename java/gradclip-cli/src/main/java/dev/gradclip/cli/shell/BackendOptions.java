// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.shell;

import dev.gradclip.Backend;
import java.io.IOException;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** The options for backend and threads; neither changes a bit of what is written. */
public final class BackendOptions {
    private static final int MOST_THREADS = 1024;

    /** The values of {@code --backend}. */
    public enum Choice {
        AUTO,
        JAVA,
        NATIVE,
        CUDA
    }

    @Spec(Spec.Target.MIXEE)
    private @Nullable CommandSpec command;

    @Option(
            names = "--backend",
            paramLabel = "auto|java|native|cuda",
            description = "who does the work (default: auto, the fastest that is available)")
    private Choice choice = Choice.AUTO;

    @Option(names = "--threads", paramLabel = "N", description = "how many threads work (default: all processors)")
    private @Nullable Integer threads;

    /**
     * Returns the backend that was asked for, or the best one.
     *
     * @throws IOException if the one that was asked for can't run here
     */
    public Backend backend() throws IOException {
        return choice == Choice.AUTO ? Backend.preferred() : chosen(choice);
    }

    /**
     * The one that was asked for.
     *
     * @throws IOException if it can't run here; the library's own message would name constants
     */
    public static Backend chosen(Choice choice) throws IOException {
        Backend backend = Backend.valueOf(choice.name());
        if (backend.isAvailable()) return backend;
        throw new IOException("--backend " + name(backend) + " is not available: " + why(backend));
    }

    private static String why(Backend backend) {
        if (backend == Backend.NATIVE && !missing().isEmpty()) return missing();
        return backend.reason() + "; 'gradclip info' tells what to do";
    }

    /** Returns true if either was given. */
    public boolean isChosen() {
        return choice != Choice.AUTO || threads != null;
    }

    /** 0 for the library's default. */
    public int threads() {
        return threads == null ? 0 : threads(command, threads);
    }

    /**
     * Checks a number of threads.
     *
     * @throws ParameterException if there cannot be so many
     */
    public static int threads(@Nullable CommandSpec command, int threads) {
        if (threads >= 1 && threads <= MOST_THREADS) return threads;
        if (command == null) throw new IllegalStateException("options used outside a command");
        throw new ParameterException(
                command.commandLine(), "--threads must be 1 to " + MOST_THREADS + ", but is " + threads);
    }

    public void sayFallback(Terminal terminal) {
        sayFallback(terminal, choice);
    }

    /** Says in a line that plain Java worked where nobody asked for it, and why. */
    public static void sayFallback(Terminal terminal, Choice choice) {
        if (choice != Choice.AUTO || Backend.NATIVE.isAvailable()) return;
        terminal.out().println("plain Java did the work, not native code: " + why(Backend.NATIVE));
    }

    /** The tools that the launcher's build had to do without, or nothing; a jar knows only that it holds no library. */
    public static String missing() {
        return System.getProperty("gradclip.missing", "");
    }

    public static String name(Backend backend) {
        return backend.name().toLowerCase(Locale.ROOT);
    }
}
