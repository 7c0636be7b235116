// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/** The output of one command in this process, and its exit code. */
public record Outcome(int code, String out, String err) {
    public static Outcome of(Object... args) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        int code = Main.run(
                Arrays.stream(args).map(String::valueOf).toArray(String[]::new),
                new PrintStream(out, true, StandardCharsets.UTF_8),
                new PrintStream(err, true, StandardCharsets.UTF_8));
        return new Outcome(code, out.toString(StandardCharsets.UTF_8), err.toString(StandardCharsets.UTF_8));
    }

    /** Runs {@code gradclip clip in -o out}, then the options. */
    public static Outcome ofClip(Path in, Path out, Object... options) {
        List<Object> arguments = new ArrayList<>(List.of("clip", in, "-o", out));
        arguments.addAll(Arrays.asList(options));
        return of(arguments.toArray());
    }

    public Outcome expect(int expected) {
        assertEquals(expected, code, () -> "out: " + out + "\nerr: " + err);
        return this;
    }

    /** A failure as users may see one: short, without a stack trace, naming what is at fault. */
    public Outcome refused(int expected, String... named) {
        expect(expected);
        assertEquals("", out);
        assertTrue(err.lines().count() <= 3 && !err.isBlank(), err);
        assertFalse(err.contains("\tat ") || err.contains("Exception"), err);
        for (String part : named) assertTrue(err.contains(part), () -> "'" + part + "' is missing in: " + err);
        return this;
    }

    public Map<String, Object> json() {
        return Json.object(out);
    }
}
