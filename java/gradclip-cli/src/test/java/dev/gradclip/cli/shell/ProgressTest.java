// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.shell;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** A bar draws from a thread of its own, where a class that is missing at run time would go unheard. */
class ProgressTest {
    private static String drawn(boolean watched) throws InterruptedException {
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        PrintStream stream = new PrintStream(err, true, StandardCharsets.UTF_8);
        Terminal terminal = new Terminal(stream, stream, false, false, watched, false);
        try (Progress progress = Progress.ofWork(terminal, "task", 100_000)) {
            progress.advance(37_000);
            for (int i = 0;
                    watched && i < 100 && !err.toString(StandardCharsets.UTF_8).contains("37%");
                    i++) {
                Thread.sleep(100);
            }
        }
        return err.toString(StandardCharsets.UTF_8);
    }

    /** A billion parts of a task leave no nanosecond for each: what remains was 0:00:00 all along. */
    @Test
    void tellsHowLongTheRestWillTake() throws InterruptedException {
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        PrintStream stream = new PrintStream(err, true, StandardCharsets.UTF_8);
        Terminal terminal = new Terminal(stream, stream, false, false, true, false);
        Pattern rest = Pattern.compile("0:0\\d:\\d\\d / 0:(\\d\\d:\\d[1-9]|\\d\\d:[1-9]\\d|\\d[1-9]:\\d\\d)");
        for (boolean file : new boolean[] {false, true}) {
            long whole = 200_000_000_000L;
            try (Progress progress =
                    file ? Progress.of(terminal, "file", whole, 2) : Progress.ofWork(terminal, "work", whole)) {
                String drawn = "";
                for (int i = 0; i < 600 && !rest.matcher(drawn).find(); i++) {
                    progress.advance(whole / 1000);
                    Thread.sleep(100);
                    drawn = err.toString(StandardCharsets.UTF_8);
                }
                assertTrue(rest.matcher(drawn).find(), drawn);
            }
            err.reset();
        }
    }

    @Test
    void drawsWhereSomebodyWatches() throws InterruptedException {
        String drawn = drawn(true);
        assertTrue(drawn.contains("task") && drawn.contains("37%"), drawn);
        assertEquals("", drawn(false));
    }
}
