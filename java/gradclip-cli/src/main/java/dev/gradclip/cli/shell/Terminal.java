// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.shell;

import java.io.BufferedOutputStream;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;

/**
 * The streams that a command writes to, UTF-8 whatever the locale, for names in files are.
 *
 * @param out standard output
 * @param err standard error
 * @param colours on standard output
 * @param errorColours on standard error
 * @param progress whether someone watches standard error
 * @param screen whether standard output is a terminal on which lines can be drawn anew
 */
public record Terminal(
        PrintStream out, PrintStream err, boolean colours, boolean errorColours, boolean progress, boolean screen) {
    /** The message if nothing can be written to standard output. */
    public static final String UNWRITABLE = "standard output cannot be written";

    /** Returns streams without colours and progress, which are no terminal. */
    public static Terminal plain(PrintStream out, PrintStream err) {
        return new Terminal(out, err, false, false, false, false);
    }

    /** Returns the process's own streams; the launcher says which are terminals, for Java 17 cannot tell. */
    public static Terminal ofProcess() {
        boolean out = Boolean.getBoolean("gradclip.terminal.out");
        boolean err = Boolean.getBoolean("gradclip.terminal.err");
        String noColour = System.getenv("NO_COLOR");
        boolean dumb = "dumb".equals(System.getenv("TERM"));
        boolean colours = (noColour == null || noColour.isEmpty()) && !dumb;
        return new Terminal(
                stream(FileDescriptor.out),
                stream(FileDescriptor.err),
                out && colours,
                err && colours,
                err,
                out && !dumb);
    }

    String red(String text) {
        return errorColours ? "\u001b[1;31m" + text + "\u001b[0m" : text;
    }

    public String bold(String text) {
        return colours ? "\u001b[1m" + text + "\u001b[0m" : text;
    }

    private static PrintStream stream(FileDescriptor descriptor) {
        return new PrintStream(
                new BufferedOutputStream(new FileOutputStream(descriptor)), false, StandardCharsets.UTF_8);
    }
}
