// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

/** A bar draws from a thread of its own, where a class that is missing at run time would go unheard. */
class ProgressTest {
    private static String drawn(boolean watched) throws InterruptedException {
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        PrintStream stream = new PrintStream(err, true, StandardCharsets.UTF_8);
        Terminal terminal = new Terminal(stream, stream, false, false, watched);
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

    @Test
    void drawsWhereSomebodyWatches() throws InterruptedException {
        String drawn = drawn(true);
        assertTrue(drawn.contains("task") && drawn.contains("37%"), drawn);
        assertEquals("", drawn(false));
    }
}
