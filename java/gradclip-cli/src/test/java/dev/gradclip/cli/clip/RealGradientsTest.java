// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.clip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.gradclip.Backend;
import dev.gradclip.cli.Gradients;
import dev.gradclip.cli.Json;
import dev.gradclip.cli.Outcome;
import dev.gradclip.cli.inspect.Truth;
import dev.gradclip.cli.shell.ExitCode;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Gradients of real backward passes, clipped and held against their float64 truth and against every element's. */
public class RealGradientsTest {
    private static final List<String> FILES =
            List.of("rnn-calm", "rnn-exploding", "rnn-overflow", "gpt-f32", "gpt-f64", "gpt-mixed");

    @TempDir
    Path folder;

    static Stream<Arguments> filesAndBackends() {
        return FILES.stream().flatMap(f -> Stream.of("java", "native").map(b -> Arguments.of(f, b)));
    }

    static Stream<String> files() {
        return FILES.stream();
    }

    @ParameterizedTest
    @MethodSource("filesAndBackends")
    void everyCaseOfEveryFile(String name, String backend) throws IOException {
        assumeAvailable(backend);
        Path in = copyOf(name);
        byte[] original = Files.readAllBytes(in);
        for (Map<String, Object> test : Json.maps(expected(name), "cases")) {
            Path out = folder.resolve("out.safetensors");
            Map<String, Object> report = Outcome.of(arguments(in, out, backend, test))
                    .expect(ExitCode.DONE)
                    .json();
            assertEquals(backend, report.get("backend"));
            check(name, test, report, original, Files.readAllBytes(out));
        }
    }

    @ParameterizedTest
    @MethodSource("files")
    void backendsAndThreadsWriteTheSameBytes(String name) throws IOException {
        Path in = copyOf(name);
        for (Map<String, Object> test : Json.maps(expected(name), "cases")) {
            byte[] first = bytes(in, "java", test, "--threads", "1");
            assertArrayEquals(first, bytes(in, "java", test, "--threads", "8"));
            if (!Backend.NATIVE.isAvailable()) continue;
            assertArrayEquals(first, bytes(in, "native", test, "--threads", "1"));
            assertArrayEquals(first, bytes(in, "native", test, "--threads", "8"));
        }
    }

    @ParameterizedTest
    @MethodSource("filesAndBackends")
    void normsPerTensorAreTheTruth(String name, String backend) throws IOException {
        assumeAvailable(backend);
        Path in = copyOf(name);
        Map<String, Object> expected = expected(name);
        for (String norm : List.of("l1", "l2", "linf", "l3")) {
            Map<String, Object> report = Outcome.of(
                            "clip",
                            in,
                            "-o",
                            folder.resolve("out"),
                            "--max-norm",
                            "inf",
                            "--per-tensor",
                            "--norm-type",
                            type(norm),
                            "--backend",
                            backend,
                            "--format",
                            "json")
                    .expect(ExitCode.DONE)
                    .json();
            assertNorm(name, norm, Json.number(Json.map(expected, "total"), norm), Json.number(report, "total_norm"));
            for (Map<String, Object> tensor : Json.maps(report, "per_tensor")) {
                Map<String, Object> truth = Json.map(Json.map(expected, "norms"), Json.string(tensor, "name"));
                assertNorm(name, norm, Json.number(truth, norm), Json.number(tensor, "norm"));
            }
        }
        assertArrayEquals(Files.readAllBytes(in), Files.readAllBytes(folder.resolve("out")), "inf only measures");
    }

    private static void assumeAvailable(String backend) {
        assumeTrue(
                !backend.equals("native") || Backend.NATIVE.isAvailable(),
                () -> "native backend: " + Backend.NATIVE.reason());
    }

    private static void check(
            String name, Map<String, Object> test, Map<String, Object> report, byte[] original, byte[] written) {
        int start = Gradients.dataStart(original);
        assertArrayEquals(Arrays.copyOf(original, start), Arrays.copyOf(written, start), "header");
        assertEquals(original.length, written.length);
        double max = Json.number(test, "max");
        double coefficient = Double.NaN;
        if (!Json.string(test, "kind").equals("value")) {
            String norm = Json.string(test, "norm");
            double found = Json.number(report, "total_norm");
            assertNorm(name, norm, Json.number(Json.map(expected(name), "total"), norm), found);
            coefficient = Json.number(report, "coefficient");
            double want = Math.min(max / (found + 1e-6), 1);
            assertEquals(want, coefficient, 1e-12 * want);
        }
        Map<String, Object> header = Json.object(new String(original, 8, start - 8, StandardCharsets.UTF_8));
        header.remove("__metadata__");
        for (Map.Entry<String, Object> tensor : header.entrySet()) {
            Map<String, Object> entry = Json.map(tensor.getValue());
            List<?> offsets = (List<?>) Json.get(entry, "data_offsets");
            int begin = start + ((Double) offsets.get(0)).intValue();
            int end = start + ((Double) offsets.get(1)).intValue();
            String dtype = Json.string(entry, "dtype");
            byte[] raw = Arrays.copyOfRange(original, begin, end);
            byte[] want = Json.string(test, "kind").equals("value")
                    ? Truth.clamped(dtype, raw, max)
                    : Truth.scaled(dtype, raw, coefficient);
            assertArrayEquals(want, Arrays.copyOfRange(written, begin, end), tensor.getKey() + " under " + test);
        }
    }

    private static void assertNorm(String file, String norm, double truth, double found) {
        double tolerance = norm.equals("l3") ? 1e-12 : file.equals("gpt-f64") ? 1e-14 : 2e-7;
        assertTrue(Math.abs(found - truth) <= tolerance * truth, () -> norm + " " + found + ", truth " + truth);
    }

    private byte[] bytes(Path in, String backend, Map<String, Object> test, Object... more) throws IOException {
        Path out = folder.resolve("bytes.safetensors");
        Object[] arguments = Stream.concat(Arrays.stream(arguments(in, out, backend, test)), Arrays.stream(more))
                .toArray();
        Outcome.of(arguments).expect(ExitCode.DONE);
        return Files.readAllBytes(out);
    }

    private static Object[] arguments(Path in, Path out, String backend, Map<String, Object> test) {
        Stream<Object> rule = Json.string(test, "kind").equals("value")
                ? Stream.of("--clip-value", Json.number(test, "max"))
                : Stream.of("--max-norm", Json.number(test, "max"), "--norm-type", type(Json.string(test, "norm")));
        return Stream.concat(Stream.of("clip", in, "-o", out, "--backend", backend, "--format", "json"), rule)
                .toArray();
    }

    private static String type(String norm) {
        return norm.substring(1);
    }

    private Path copyOf(String name) throws IOException {
        return Files.write(folder.resolve(name), resource(name + ".safetensors"));
    }

    private static Map<String, Object> expected(String name) {
        return Json.map(Expected.ALL, name);
    }

    public static byte[] resource(String name) {
        try (InputStream stream = RealGradientsTest.class.getResourceAsStream("/gradients/" + name)) {
            if (stream == null) throw new AssertionError("no resource " + name);
            return stream.readAllBytes();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Parsed once: it is read for every case. */
    private static final class Expected {
        static final Map<String, Object> ALL =
                Json.object(new String(resource("expected.json"), StandardCharsets.UTF_8));
    }
}
