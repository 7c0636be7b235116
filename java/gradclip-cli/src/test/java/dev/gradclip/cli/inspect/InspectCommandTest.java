// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.inspect;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.cli.Gradients;
import dev.gradclip.cli.Json;
import dev.gradclip.cli.Outcome;
import dev.gradclip.cli.clip.RealGradientsTest;
import dev.gradclip.cli.shell.ExitCode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class InspectCommandTest {
    @TempDir
    Path folder;

    private Path write() {
        return new Gradients()
                .floats("a.weight", -3, 0, 4, -0f)
                .add("index", "I32", new byte[8], 2)
                .add("b", "F64", Gradients.bytes(1e200, Double.NaN), 2, 1)
                .add("c", "BF16", Gradients.bytes((short) 0x7f80, (short) 0x3f80), 1, 2)
                .add("d", "F16", Gradients.bytes((short) 0x3c00, (short) 0x4000), 2)
                .add("e", "F32", new byte[0], 0)
                .write(folder.resolve("in"));
    }

    /** A picture is drawn whatever the elements are, and the report stays as it is without one. */
    @Test
    void plot() throws IOException {
        Path in = write();
        Path png = folder.resolve("plot.png");
        String plain = Outcome.of("inspect", in).expect(ExitCode.DONE).out();
        Path calm = new Gradients()
                .floats("a", 1e-30f, -2, 3)
                .floats("b", 0, 4)
                .floats("c".repeat(500), 5)
                .write(folder.resolve("calm"));
        Path zeros = new Gradients().floats("a", 0, -0f).write(folder.resolve("zeros"));
        Path none = new Gradients().write(folder.resolve("none"));
        for (Path file : List.of(in, calm, zeros, none)) {
            for (List<String> rule : List.of(
                    List.<String>of(),
                    List.of("--max-norm", "0"),
                    List.of("--max-norm", "1"),
                    List.of("--max-norm", "inf"),
                    List.of("--clip-value", "0.5"))) {
                Files.deleteIfExists(png);
                List<Object> arguments = new ArrayList<>(List.of("inspect", file, "--plot", png));
                arguments.addAll(rule);
                Outcome outcome = Outcome.of(arguments.toArray()).expect(ExitCode.DONE);
                if (file.equals(in)) assertEquals(plain, outcome.out());
                assertEquals("", outcome.err());
                assertTrue(ImageIO.read(png.toFile()).getWidth() >= 620, file + " " + rule);
            }
        }
    }

    @Test
    void refusedPlots() throws IOException {
        Path in = write();
        byte[] bytes = Files.readAllBytes(in);
        Path png = folder.resolve("plot.png");
        Outcome.of("inspect", in, "--max-norm", "1")
                .refused(ExitCode.USAGE, "--max-norm is for --plot", "gradclip clip");
        Outcome.of("inspect", in, "--clip-value", "1").refused(ExitCode.USAGE, "--clip-value is for --plot");
        Outcome.of("inspect", in, "--plot", png, "--clip-value", "1", "--max-norm", "1")
                .refused(ExitCode.USAGE, "exclude each other");
        Outcome.of("inspect", in, "--plot", png, "--max-norm", "-1").refused(ExitCode.USAGE, "0 or more");
        Outcome.of("inspect", in, "--plot", png, "--clip-value", "nan").refused(ExitCode.USAGE, "0 or more");
        Outcome.of("inspect", in, "--plot", in).refused(ExitCode.USAGE, "the picture would replace");
        Outcome.of("inspect", in, "--plot", folder.resolve("no/x.png")).refused(ExitCode.USAGE, "no folder");
        assertFalse(Files.exists(png));
        assertArrayEquals(bytes, Files.readAllBytes(in));
    }

    @Test
    void json() {
        Map<String, Object> report = Outcome.of("inspect", write(), "--format", "json")
                .expect(ExitCode.DONE)
                .json();
        assertEquals(Set.of("file", "tensors", "total"), report.keySet());
        List<Map<String, Object>> tensors = Json.maps(report, "tensors");
        Map<String, Object> a = tensors.get(0);
        assertEquals("a.weight", a.get("name"));
        assertEquals("F32", a.get("dtype"));
        assertEquals(List.of(4.0), a.get("shape"));
        assertMeasures(a, 4, 7.0, 5.0, 4.0, 0.25, 0.5, 0, 0);
        assertMeasures(tensors.get(1), 2, "null", "null", "null", "null", "null", "null", "null");
        assertMeasures(tensors.get(2), 2, "nan", "nan", "nan", "nan", 0.0, 1, 0);
        assertEquals(List.of(2.0, 1.0), tensors.get(2).get("shape"));
        assertMeasures(tensors.get(3), 2, "inf", "inf", "inf", "inf", 0.0, 0, 1);
        assertMeasures(tensors.get(4), 2, 3.0, Math.sqrt(5), 2.0, 1.5, 0.0, 0, 0);
        assertMeasures(tensors.get(5), 0, 0.0, 0.0, 0.0, "null", "null", 0, 0);
        Map<String, Object> total = Json.map(report, "total");
        assertEquals(5.0, total.get("tensors"));
        assertEquals(1.0, total.get("not_measured"));
        assertMeasures(total, 10, "nan", "nan", "nan", "nan", 0.2, 1, 1);
    }

    @Test
    void theLargestShareFirst() {
        Path in = new Gradients()
                .floats("small", 3)
                .add("i", "U8", new byte[4], 4)
                .floats("zero", 0, -0f)
                .floats("large", 0, 4)
                .write(folder.resolve("in"));
        assertEquals(List.of("large", "small", "zero", "i", "total"), names(in, "--sort", "share"));
        assertEquals(List.of("small", "i", "zero", "large", "total"), names(in, "--sort", "file"));
        List<Map<String, Object>> tensors =
                Json.maps(Outcome.of("inspect", in, "--format", "json").json(), "tensors");
        assertEquals(
                List.of(9.0 / 25, "null", 0.0, 16.0 / 25),
                tensors.stream()
                        .map(t -> t.get("share"))
                        .map(InspectCommandTest::rounded)
                        .toList());
        Path zeros = new Gradients().floats("a", 0, 0).write(folder.resolve("zeros"));
        assertTrue(Outcome.of("inspect", zeros).out().contains("a       F32[2]      -  "));
    }

    private static Object rounded(Object share) {
        return share instanceof Double number ? Math.round(number * 1e12) / 1e12 : share;
    }

    @Test
    void whatIsNotFiniteComesFirst() {
        assertEquals(List.of("b", "c", "a.weight", "d", "e", "index", "total"), names(write()));
    }

    private static List<String> names(Path in, String... options) {
        List<String> command = new ArrayList<>(List.of("inspect", in.toString()));
        command.addAll(List.of(options));
        return Outcome.of(command.toArray())
                .expect(ExitCode.DONE)
                .out()
                .lines()
                .skip(1)
                .takeWhile(line -> !line.contains("tensors,") && !line.contains("tensor,"))
                .map(line -> line.substring(0, line.indexOf(' ')))
                .toList();
    }

    private static void assertMeasures(Map<String, Object> found, double elements, Object... expected) {
        assertEquals(elements, found.get("elements"));
        List<String> keys = List.of("l1", "l2", "max_abs", "mean", "zero_share", "nan", "inf");
        for (int i = 0; i < keys.size(); i++) {
            Object value = expected[i] instanceof Integer n ? Double.valueOf(n) : expected[i];
            assertEquals(value, found.get(keys.get(i)), keys.get(i) + " of " + found);
        }
    }

    @Test
    void tableIsAlignedAndCutsLongNames() {
        String name = "blocks.0." + "long.".repeat(60) + "weight";
        Path in = new Gradients()
                .floats(name, 1, 2, 3)
                .floats("évil\\n\\u001b[31m", 1)
                .add("i", "U8", new byte[4], 2, 2)
                .write(folder.resolve("in"));
        List<String> lines =
                Outcome.of("inspect", in).expect(ExitCode.DONE).out().lines().toList();
        assertEquals(7, lines.size());
        String cut = name.substring(0, 60) + "…" + name.substring(name.length() - 60);
        assertTrue(lines.get(1).startsWith(cut + "  F32[3]"), lines.get(1));
        assertTrue(lines.get(2).startsWith("évil\\u000a\\u001b[31m "), lines.get(2));
        assertTrue(lines.get(3).matches("i +U8\\[2×2\\]( +-){4}"), lines.get(3));
        assertTrue(lines.get(4).startsWith("total "), lines.get(4));
        assertEquals("2 tensors, 4 elements, no NaN and no infinity", lines.get(5));
        assertEquals("1 tensor of a dtype that is not clipped, not in the total", lines.get(6));
        assertEquals(
                1,
                lines.subList(0, 5).stream().mapToInt(String::length).distinct().count());
    }

    @Test
    void aTableFitsATerminalWhereNamesAllow() throws IOException {
        for (String file : List.of("rnn-calm", "rnn-exploding", "gpt-mixed")) {
            Path in = Files.write(folder.resolve(file), RealGradientsTest.resource(file + ".safetensors"));
            Outcome.of("inspect", in)
                    .expect(ExitCode.DONE)
                    .out()
                    .lines()
                    .forEach(line -> assertTrue(line.length() <= 80, line));
        }
    }

    @Test
    void nanAndInfinityHaveColumnsWhereThereAreAny() {
        List<String> lines = Outcome.of("inspect", write())
                .expect(ExitCode.DONE)
                .out()
                .lines()
                .toList();
        assertTrue(lines.get(0).endsWith("zeros  NaN  Inf"), lines.get(0));
        assertTrue(lines.get(1).matches("b .* 1 +0"), lines.get(1));
        assertTrue(lines.get(6).matches("index +I32\\[2\\]( +-){6}"), lines.get(6));
        assertTrue(lines.get(7).matches("total .* 20.0% +1 +1"), lines.get(7));
        assertEquals("5 tensors, 10 elements", lines.get(8));
    }

    @Test
    void tensorsBeyondOnePiece() {
        float[] many = new float[(20 << 20) / 4 + 7];
        Arrays.fill(many, 0.5f);
        many[many.length - 1] = 0;
        Path in = new Gradients().floats("a", many).write(folder.resolve("in"));
        Map<String, Object> total = Json.map(
                Outcome.of("inspect", in, "--format", "json")
                        .expect(ExitCode.DONE)
                        .json(),
                "total");
        assertEquals((double) many.length, total.get("elements"));
        assertEquals((many.length - 1) * 0.5, total.get("l1"));
        assertEquals(0.5, total.get("max_abs"));
        assertEquals((many.length - 1) * 0.5 / many.length, total.get("mean"));
        assertEquals(1.0 / many.length, total.get("zero_share"));
    }
}
