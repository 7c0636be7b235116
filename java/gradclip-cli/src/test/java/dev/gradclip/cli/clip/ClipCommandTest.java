// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.clip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.Backend;
import dev.gradclip.cli.Gradients;
import dev.gradclip.cli.Json;
import dev.gradclip.cli.Outcome;
import dev.gradclip.cli.shell.BackendOptions;
import dev.gradclip.cli.shell.ExitCode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ClipCommandTest {
    @TempDir
    Path folder;

    private Path in;
    private Path out;

    @BeforeEach
    void files() {
        in = folder.resolve("in.safetensors");
        out = folder.resolve("out.safetensors");
    }

    private Outcome clip(Object... options) {
        Object[] arguments = new Object[options.length + 4];
        System.arraycopy(new Object[] {"clip", in, "-o", out}, 0, arguments, 0, 4);
        System.arraycopy(options, 0, arguments, 4, options.length);
        return Outcome.of(arguments);
    }

    private Map<String, Object> json(Object... options) {
        Object[] arguments = Arrays.copyOf(options, options.length + 2);
        arguments[options.length] = "--format";
        arguments[options.length + 1] = "json";
        return clip(arguments).expect(ExitCode.DONE).json();
    }

    private float[] written(int count) throws IOException {
        byte[] file = Files.readAllBytes(out);
        return Gradients.floatsOf(file, Gradients.dataStart(file), count);
    }

    private void three() {
        new Gradients().floats("a", 3).floats("b", 0, 4).write(in);
    }

    @Test
    void globalNorm() throws IOException {
        three();
        Map<String, Object> report = json("--max-norm", "1", "--epsilon", "0");
        assertEquals("global-norm", report.get("rule"));
        assertEquals("2", report.get("norm_type"));
        assertEquals(5.0, report.get("total_norm"));
        assertEquals(0.2, report.get("coefficient"));
        assertEquals(true, report.get("clipped"));
        assertEquals(2.0, report.get("tensors"));
        assertEquals(3.0, report.get("elements"));
        assertEquals(0.0, report.get("skipped"));
        assertFalse(report.containsKey("per_tensor"));
        assertFalse(report.containsKey("elements_changed"));
        assertArrayEquals(new float[] {3 * 0.2f, 0, 4 * 0.2f}, written(3));
    }

    @Test
    void perTensor() throws IOException {
        three();
        Map<String, Object> report = json("--max-norm", "3.5", "--epsilon", "0", "--per-tensor");
        assertEquals("per-tensor-norm", report.get("rule"));
        assertEquals(5.0, report.get("total_norm"));
        assertEquals("null", report.get("coefficient"));
        assertEquals(
                List.of(
                        Map.of("name", "a", "norm", 3.0, "coefficient", 1.0),
                        Map.of("name", "b", "norm", 4.0, "coefficient", 0.875)),
                report.get("per_tensor"));
        assertArrayEquals(new float[] {3, 0, 3.5f}, written(3));
    }

    @Test
    void value() throws IOException {
        three();
        Map<String, Object> report = json("--clip-value", "3.5");
        assertEquals("value", report.get("rule"));
        for (String key : List.of("norm_type", "total_norm", "coefficient")) assertEquals("null", report.get(key));
        assertEquals(1.0, report.get("elements_changed"));
        assertEquals(true, report.get("clipped"));
        assertEquals(3.0, report.get("elements"));
        assertArrayEquals(new float[] {3, 0, 3.5f}, written(3));
    }

    @Test
    void range() throws IOException {
        new Gradients().floats("a", -3, Float.NEGATIVE_INFINITY, Float.NaN, 5).write(in);
        assertEquals(
                2.0,
                json("--min", "-1", "--max", "inf", "--non-finite", "propagate").get("elements_changed"));
        assertArrayEquals(new float[] {-1, -1, Float.NaN, 5}, written(4));
    }

    @Test
    void keysOfTheReport() {
        three();
        assertEquals(
                Set.of(
                        "backend",
                        "rule",
                        "norm_type",
                        "total_norm",
                        "coefficient",
                        "clipped",
                        "non_finite",
                        "tensors",
                        "elements",
                        "skipped"),
                json("--max-norm", "1").keySet());
    }

    @Test
    void nonFiniteNumbersAreStrings() {
        new Gradients().floats("a", 1, Float.POSITIVE_INFINITY).write(in);
        assertEquals("inf", json("--max-norm", "1", "--non-finite", "propagate").get("total_norm"));
        new Gradients().floats("a", 1, Float.NaN).write(in);
        Map<String, Object> report = json("--max-norm", "1", "--non-finite", "propagate");
        assertEquals("nan", report.get("total_norm"));
        assertEquals("nan", report.get("coefficient"));
        assertEquals(true, report.get("non_finite"));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "--max-norm=1",
                "--max-norm=1 --error-if-nonfinite",
                "--max-norm=1 --non-finite=error",
                "--max-norm=1 --per-tensor",
                "--max-norm=1 --norm-type=inf",
                "--clip-value=1",
                "--rule=block-rms --param=max-rms=1",
                "--rule=per-row-norm --param=max-norm=1",
                "--group=.*=global-norm,max-norm=1"
            })
    void aGradientThatIsNotFiniteIsAnErrorUnlessItIsAskedFor(String rule) {
        Object[] options = rule.split(" ", -1);
        for (float bad : new float[] {Float.NaN, Float.NEGATIVE_INFINITY}) {
            new Gradients().floats("good", 1).floats("bad.weight", 2, bad).write(in);
            clip(options)
                    .refused(
                            ExitCode.NON_FINITE,
                            in + ": tensor 'bad.weight' holds a NaN or an infinity; nothing was written",
                            "--non-finite skip, zero or propagate");
            assertFalse(Files.exists(out));
        }
        new Gradients().floats("good", 1).write(in);
        clip(options).expect(ExitCode.DONE);
        assertTrue(Files.exists(out));
    }

    @Test
    void whatBecameOfANanIsSaidAndIsNoClip() {
        new Gradients().floats("a", 3, Float.NaN).write(in);
        String text =
                clip("--max-norm", "1", "--non-finite", "propagate").expect(0).out();
        assertTrue(text.contains("norm nan (type 2), coefficient nan, not finite\n"), text);
        assertTrue(text.contains("OUT holds what the formula makes of it"), text);
        text = clip("--max-norm", "1", "--non-finite", "skip").expect(0).out();
        assertTrue(text.contains("not clipped") && text.contains("OUT is a copy of IN"), text);
        text = clip("--max-norm", "1", "--non-finite", "zero").expect(0).out();
        assertTrue(text.contains("norm 3 (type 2)") && text.contains("such elements were set to 0 first"), text);
    }

    @Test
    void keepsAllThatIsNotAGradient() throws IOException {
        String header = "{\"z\":{\"data_offsets\":[16,20], \"shape\":[1],\"dtype\":\"F32\"}, \"__metadata__\":"
                + "{\"k\":\"\\u00e9\"},\"é\\n\":{\"dtype\":\"I64\",\"shape\":[2,1],\"data_offsets\":[0,16]}}  \n ";
        byte[] data = new byte[20];
        Arrays.fill(data, (byte) 0x41);
        Gradients.write(in, Gradients.file(header, data));
        Map<String, Object> report = json("--max-norm", "0");
        assertEquals(1.0, report.get("skipped"));
        assertEquals(1.0, report.get("tensors"));
        Arrays.fill(data, 16, 20, (byte) 0);
        assertArrayEquals(Gradients.file(header, data), Files.readAllBytes(out));
    }

    @ParameterizedTest
    @ValueSource(strings = {"BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64"})
    void copiesWhatIsNotFloatingPoint(String dtype) throws IOException {
        new Gradients()
                .add("i", dtype, new byte[8], 64 / bits(dtype))
                .floats("f", 5)
                .write(in);
        Map<String, Object> report = json("--max-norm", "1");
        assertEquals(1.0, report.get("skipped"));
        assertEquals(1.0, report.get("elements"));
    }

    private static int bits(String dtype) {
        return dtype.equals("BOOL") ? 8 : Integer.parseInt(dtype.substring(1));
    }

    @ParameterizedTest
    @ValueSource(strings = {"F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F6_E2M3", "F6_E3M2", "F4", "C64"})
    void refusesFloatsThatItCannotClip(String dtype) {
        int bits = dtype.equals("C64") ? 64 : dtype.charAt(1) - '0';
        new Gradients().add("low.weight", dtype, new byte[24], 192 / bits).write(in);
        clip("--max-norm", "1").refused(ExitCode.USAGE, "tensor 'low.weight'", dtype);
        assertFalse(Files.exists(out));
        assertTrue(Outcome.of("inspect", in).expect(ExitCode.DONE).out().contains(dtype));
    }

    @Test
    void noTensors() throws IOException {
        Gradients.write(in, Gradients.file("{}", new byte[0]));
        for (String rule : List.of("--max-norm=1", "--clip-value=1")) {
            Map<String, Object> report = json(rule);
            assertEquals(0.0, report.get("tensors"));
            assertEquals(false, report.get("clipped"));
            assertArrayEquals(Files.readAllBytes(in), Files.readAllBytes(out));
        }
    }

    @Test
    void emptyTensorsFirstMiddleAndLast() throws IOException {
        new Gradients()
                .add("first", "F32", new byte[0], 0)
                .floats("a", 3)
                .add("middle", "F64", new byte[0], 5, 0, Long.MAX_VALUE)
                .floats("b", 4)
                .add("last", "BF16", new byte[0], 0, 7)
                .write(in);
        Map<String, Object> report = json("--max-norm", "2.5", "--epsilon", "0");
        assertEquals(5.0, report.get("total_norm"));
        assertEquals(5.0, report.get("tensors"));
        assertArrayEquals(new float[] {1.5f, 2}, written(2));
        report = json("--max-norm", "1", "--per-tensor");
        assertEquals(5, Json.maps(report, "per_tensor").size());
        assertEquals(5.0, json("--clip-value", "1").get("tensors"));
    }

    @Test
    void scalars() throws IOException {
        new Gradients().add("s", "F32", Gradients.bytes(4f)).write(in);
        assertEquals(1.0, json("--clip-value", "1").get("elements"));
        assertArrayEquals(new float[] {1}, written(1));
    }

    @Test
    void tensorsBeyondOnePiece() throws IOException {
        float[] many = new float[(8 << 20) / 4 + 12345];
        Arrays.fill(many, 1);
        new Gradients().floats("pad", 1).floats("a", many).write(in);
        Map<String, Object> report = json("--max-norm", "1", "--norm-type", "1", "--epsilon", "0");
        assertEquals(many.length + 1.0, report.get("total_norm"));
        float[] result = written(many.length + 1);
        float want = (float) (1.0 / (many.length + 1));
        for (float x : result) assertEquals(want, x);
    }

    @Test
    void copiesWhereNothingIsClipped() throws IOException {
        three();
        Map<String, Object> report = json("--max-norm", "100");
        assertEquals(1.0, report.get("coefficient"));
        assertEquals(false, report.get("clipped"));
        assertArrayEquals(Files.readAllBytes(in), Files.readAllBytes(out));
    }

    @Test
    void textForPeople() {
        three();
        String text =
                clip("--max-norm", "1", "--per-tensor").expect(ExitCode.DONE).out();
        assertTrue(text.contains("per-tensor-norm") && text.contains("2 tensors, 3 elements"), text);
        text = clip("--clip-value", "1").expect(ExitCode.DONE).out();
        assertTrue(text.contains("value: 2 elements changed (66.667 % of 3), clipped"), text);
        text = clip("--max-norm", "9").expect(ExitCode.DONE).out();
        assertTrue(text.contains("norm 5 (type 2), coefficient 1, not clipped"), text);
        text = clip("--max-norm", "0.1").expect(ExitCode.DONE).out();
        assertTrue(text.contains("norm 5 (type 2), coefficient 0.02, norm after 0.1, clipped"), text);
    }

    @Test
    void backendsOnRequest() {
        three();
        assertEquals("java", json("--max-norm", "1", "--backend", "java").get("backend"));
        String preferred = BackendOptions.name(Backend.preferred());
        assertEquals(preferred, json("--max-norm", "1").get("backend"));
        assertEquals(preferred, json("--max-norm", "1", "--backend", "auto").get("backend"));
        if (!Backend.CUDA.isAvailable()) {
            clip("--max-norm", "1", "--backend", "cuda")
                    .refused(ExitCode.FAILURE, "--backend cuda is not available", "gradclip info");
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "--max-norm",
                "--max-norm 1 --clip-value 1",
                "--max-norm 1 --min 0 --max 1",
                "--clip-value 1 --max 1",
                "--min 1",
                "--max 1",
                "--min 2 --max 1",
                "--min nan --max 1",
                "--max-norm -1",
                "--max-norm nan",
                "--max-norm 1d",
                "--max-norm 0x1p3",
                "--max-norm one",
                "--clip-value -1",
                "--clip-value 1 --norm-type 2",
                "--clip-value 1 --per-tensor",
                "--clip-value 1 --epsilon 1",
                "--max-norm 1 --epsilon -1",
                "--max-norm 1 --epsilon inf",
                "--max-norm 1 --norm-type 0",
                "--max-norm 1 --norm-type -2",
                "--max-norm 1 --norm-type two",
                "--max-norm 1 --backend gpu",
                "--max-norm 1 --threads 0",
                "--max-norm 1 --threads 1000000",
                "--max-norm 1 --threads many",
                "--max-norm 1 --format yaml",
                "--max-norm 1 --frobnicate",
                "--max-norm 1 second.safetensors",
                "--max-norm 1 --max-norm 2"
            })
    void wrongUsage(String options) {
        three();
        clip(options.isEmpty() ? new Object[0] : options.split(" ", -1))
                .refused(ExitCode.USAGE, "gradclip: error: ", "--help");
        assertFalse(Files.exists(out));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "--max-norm 1e400",
                "--clip-value 1e400",
                "--min -1e400 --max 1",
                "--min 0 --max 1e400",
                "--max-norm 1 --epsilon 1e-400",
                "--max-norm 1 --unscale 1e400",
                "--rule global-norm --param max-norm=1e400",
                "--rule global-norm --param max-norm=1 --param epsilon=1e-400",
                "--group .*=value,max=1e400"
            })
    void numbersThatADoubleCannotHold(String options) {
        three();
        clip((Object[]) options.split(" ", -1)).refused(ExitCode.USAGE, "1e", "00' is ", " number");
        assertFalse(Files.exists(out));
    }

    @Test
    void wrongUsageOfTheWhole() {
        Outcome.of().refused(ExitCode.USAGE, "--help", "a command is missing: help, demo, clip, rules");
        Outcome.of("clop").refused(ExitCode.USAGE, "there is no command 'clop'; the commands are help, demo, clip");
        Outcome.of("inspect", in, "b").refused(ExitCode.USAGE, "'b' is an argument too many");
        clip("--maxnorm", "1").refused(ExitCode.USAGE, "there is no option '--maxnorm'; near it are --max-norm");
        clip("--max-norm", "1", "--threads", "x").refused(ExitCode.USAGE, "'--threads': 'x' is not a whole number");
        clip("--max-norm", "1", "--threads", "3000000000")
                .refused(ExitCode.USAGE, "is not a whole number, or one too large");
        clip("--max-norm", "1e400").refused(ExitCode.USAGE, "'--max-norm': '1e400' is beyond");
        clip("--rule", "global-norm,max-norm=1").refused(ExitCode.USAGE, "--rule takes a name alone");
        Outcome.of("clip").refused(ExitCode.USAGE);
        Outcome.of("clip", in, "--max-norm", "1").refused(ExitCode.USAGE, "--output");
        Outcome.of("inspect").refused(ExitCode.USAGE, "IN");
    }

    @Test
    void helpTeaches() {
        for (String command : List.of("clip", "rules", "inspect", "info")) {
            String help = Outcome.of(command, "--help").expect(ExitCode.DONE).out();
            assertTrue(help.contains("Examples:") && help.contains("Exit codes:"), help);
            assertEquals(help, Outcome.of("help", command).expect(ExitCode.DONE).out());
        }
        assertTrue(Outcome.of("--help").expect(ExitCode.DONE).out().contains("inspect"));
        assertTrue(Outcome.of("--version").expect(ExitCode.DONE).out().matches("gradclip \\d+\\.\\d+.*\\n"));
    }

    @Test
    void namesWithAtSignsAreNames() throws IOException {
        in = Files.writeString(folder.resolve("@in"), "--help");
        clip("--max-norm", "1").refused(ExitCode.USAGE, "@in");
        assertEquals("--help", Files.readString(in, StandardCharsets.UTF_8));
    }
}
