// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.shell;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.cli.Gradients;
import dev.gradclip.cli.Json;
import dev.gradclip.cli.Outcome;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Tests names that steer a terminal, look like others or fill the screen: all reports show them plainly. */
class PrintableTest {
    @TempDir
    Path folder;

    private static final List<String> NAMES = List.of(
            "a\u001b[31mred",
            "b\nnewline\rcr",
            "c\u202ertl",
            "d\u2066iso",
            "e\u200fRLM",
            "f\u200eLRM",
            "g\u061cALM",
            "h\u009b31mC1",
            "i\u007fdel",
            "j\u200bzw",
            "k\ufeffbom",
            "l\u2028ls\u2029ps",
            "m\udb40\udc41tag",
            "n\u0000nul",
            "o=cmd|' /C calc'!A0",
            "q\u00adsoft",
            "r\ud83d\ude00",
            "s\u0301acute",
            "t\u3164filler",
            "u\ufe0fvariant\udb40\udd00",
            "v\u00a0space\u3000wide",
            "w\ue000private\udbff\udffd",
            "x\uffffunassigned",
            "été 重み");

    /** The number of names that hold something to escape. */
    private static final int UNSAFE = 20;

    private Path named() {
        Gradients gradients = new Gradients();
        for (String name : NAMES) gradients.floats(escapedForJson(name), 1);
        return gradients.write(folder.resolve("in"));
    }

    private static String escapedForJson(String name) {
        StringBuilder json = new StringBuilder();
        for (char c : name.toCharArray()) json.append(c < ' ' ? String.format("\\u%04x", (int) c) : c);
        return json.toString();
    }

    private static void assertPlain(String text) {
        text.codePoints()
                .filter(c -> c != '\n' && Printable.isUnsafe(c))
                .forEach(c -> assertEquals("", String.format("U+%04X", c), text));
    }

    private List<List<Object>> reports() {
        Path in = named();
        Path out = folder.resolve("out");
        return List.of(
                List.of("inspect", in),
                List.of("inspect", in, "--format", "json"),
                List.of("clip", in, "-o", out, "--max-norm", "1", "--per-tensor"),
                List.of("clip", in, "-o", out, "--max-norm", "1", "--per-tensor", "--format", "json"),
                List.of("clip", in, "-o", out, "--group", "(?s).\u202e?.*=value,max=0.5"),
                List.of("clip", in, "-o", out, "--group", ".\u200f?.*=value,max=0.5", "--format", "json"));
    }

    @Test
    void reportsHoldNothingUnsafe() {
        for (List<Object> report : reports()) {
            assertPlain(Outcome.of(report.toArray()).expect(ExitCode.DONE).out());
        }
    }

    @Test
    void theOthersAreShownAsTheyAre() {
        String text = Outcome.of("inspect", named()).out();
        for (String shown : List.of("r\ud83d\ude00 ", "s\u0301acute ", "été 重み ", "o=cmd|' /C calc'!A0 ")) {
            assertTrue(text.contains("\n" + shown), text);
        }
        for (String shown : List.of("e\\u200fRLM", "h\\u009b31mC1", "m\\udb40\\udc41tag", "t\\u3164filler")) {
            assertTrue(text.contains("\n" + shown), text);
        }
        assertEquals(
                UNSAFE,
                NAMES.stream()
                        .filter(n -> n.codePoints().anyMatch(Printable::isUnsafe))
                        .count());
    }

    @Test
    void jsonHoldsTheVeryNames() {
        List<String> names = new ArrayList<>();
        var report = Outcome.of("inspect", named(), "--format", "json").json();
        for (var tensor : Json.maps(report, "tensors")) names.add(Json.string(tensor, "name"));
        assertEquals(NAMES, names);
    }

    @Test
    void messagesHoldNothingUnsafe() {
        Path in = named();
        Path out = folder.resolve("out");
        String steer = "\u001b[31m\u202e\u200f\u009b\u3164";
        List<List<Object>> wrong = List.of(
                List.of("clip", in, "-o", out, "--group", "zzz" + steer + "=value,max=1"),
                List.of("clip", in, "-o", out, "--group", "(" + steer + "=value,max=1"),
                List.of("clip", in, "-o", out, "--max-norm", "1", "--exclude", steer),
                List.of("clip", in, "-o", out, "--rule", steer),
                List.of("clip", in, "-o", out, "--max-norm", steer),
                List.of("clip", in, "-o", folder.resolve(steer).resolve("out"), "--max-norm", "1"),
                List.of("inspect", folder.resolve(steer)),
                List.of("rules", steer),
                List.of(steer));
        for (List<Object> arguments : wrong) {
            Outcome outcome = Outcome.of(arguments.toArray()).refused(ExitCode.USAGE, "\\u202e");
            assertPlain(outcome.err());
        }
    }

    @Test
    void aPathInAReport() throws IOException {
        Path in = new Gradients().floats("a", 1).floats("b", 1).write(folder.resolve("in"));
        Path weights = new Gradients().floats("a", 1).write(folder.resolve("w\u202e"));
        String text = Outcome.of(
                        "clip", in, "-o", in, "--rule", "adaptive", "--param", "lambda=1", "--parameters", weights)
                .expect(ExitCode.DONE)
                .out();
        assertTrue(text.contains("w\\u202e, left unclipped"), text);
    }

    /** One name widened every row: 1000 tensors made 262 MB. */
    @Test
    void oneLongNameDoesNotWidenEveryRow() {
        String name = "x".repeat(1 << 18);
        Gradients gradients = new Gradients().floats(name, 3);
        for (int i = 0; i < 1000; i++) gradients.floats("layer." + i, 4);
        Path in = gradients.write(folder.resolve("in"));
        Path out = folder.resolve("out");
        String cut = "x".repeat(60) + "…" + "x".repeat(60) + " ";
        for (Object[] arguments :
                new Object[][] {{"inspect", in}, {"clip", in, "-o", out, "--max-norm", "1", "--per-tensor"}}) {
            String text = Outcome.of(arguments).expect(ExitCode.DONE).out();
            assertTrue(text.contains(cut) && text.length() < 300_000, () -> text.length() + " characters");
        }
        String json = Outcome.of("inspect", in, "--format", "json").out();
        assertTrue(json.contains("\"" + name + "\""));
        String groups = Outcome.of("clip", in, "-o", out, "--group", "layer|".repeat(1000) + "x+=value,max=1")
                .expect(ExitCode.DONE)
                .out();
        assertTrue(groups.contains("layer|…yer|layer") && groups.length() < 1000, groups);
    }

    @Test
    void aShapeOfManyDimensions() throws IOException {
        long[] shape = new long[100_000];
        Arrays.fill(shape, 1);
        shape[0] = 2;
        Path in =
                new Gradients().add("a", "F32", Gradients.bytes(3f, 4f), shape).write(folder.resolve("in"));
        String text = Outcome.of("inspect", in).expect(ExitCode.DONE).out();
        assertTrue(text.contains("[2×1×1×1×1×1×…×1×1×1×1×1×1]") && text.length() < 1000, text);
        Path weights = new Gradients().floats("a", 3, 4).write(folder.resolve("weights"));
        Outcome.of("clip", in, "-o", in, "--rule", "adaptive", "--param", "lambda=1", "--parameters", weights)
                .refused(ExitCode.USAGE, "has the shape [2], but its gradient has [2, 1, 1, 1, 1, 1, …, 1,");
        assertTrue(Files.size(in) > 200_000);
    }

    @ParameterizedTest
    @ValueSource(ints = {'a', ' ', 0xe9, 0x301, 0x4e00, 0x1f600, '…', '×', '√', 0xac00, 0x17b6})
    void plain(int codePoint) {
        assertFalse(Printable.isUnsafe(codePoint));
    }
}
