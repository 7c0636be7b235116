// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.gradclip.Backend;
import dev.gradclip.cli.Child;
import dev.gradclip.cli.Json;
import dev.gradclip.cli.Outcome;
import dev.gradclip.cli.shell.BackendOptions;
import dev.gradclip.cli.shell.ExitCode;
import dev.gradclip.measure.Case;
import dev.gradclip.measure.Shape;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class BenchCommandTest {
    /** Half a second was asked for; the rest is for machines that build beside it. */
    private static final double PATIENCE_SECONDS = 120;

    @TempDir
    Path folder;

    private static Map<String, Object> json(Object... more) {
        Object[] args = Stream.concat(Stream.of("bench", "--seconds", "0.5", "--format", "json"), Stream.of(more))
                .toArray();
        Outcome outcome = Outcome.of(args).expect(ExitCode.DONE);
        assertEquals("", outcome.err());
        return outcome.json();
    }

    @Test
    void everyCaseOfEveryBackend() {
        long start = System.nanoTime();
        Map<String, Object> bench = json();
        double seconds = (System.nanoTime() - start) / 1e9;
        assertTrue(seconds < PATIENCE_SECONDS, seconds + " s");
        assertEquals(0.5, bench.get("seconds"));
        assertTrue(Json.number(bench, "took_seconds") <= seconds);
        Set<String> found = new HashSet<>();
        for (Map<String, Object> row : Json.maps(bench, "results")) {
            found.add(row.get("backend") + " " + row.get("case") + " " + row.get("elements"));
            assertSound(row);
        }
        Set<String> expected = new HashSet<>();
        for (Backend backend : Backend.values()) {
            if (!backend.isAvailable()) continue;
            for (Case what : Case.CLIPS) {
                for (double elements : new double[] {500 << 10, 1 << 20}) {
                    String name = what.name().toLowerCase(Locale.ROOT);
                    expected.add(BackendOptions.name(backend) + " " + name + " " + elements);
                }
            }
        }
        assertEquals(expected, found);
        assertEquals(2, Json.maps(bench, "left_out").size());
        for (Map<String, Object> limit : Json.maps(bench, "limits")) {
            assertPositive(limit, "read_gb_s", "rewrite_gb_s");
        }
    }

    private static void assertSound(Map<String, Object> row) {
        assertTimed(row);
        double passes = Json.number(row, "moved_bytes") / Json.number(row, "bytes");
        switch (Json.string(row, "case")) {
            case "norm", "does_not_bite" -> assertEquals(1, passes);
            case "bites" -> assertEquals(3, passes);
            // One element in a hundred is in 1 - 0.99^16 of the lines of 16 floats.
            default -> assertEquals(1.1485, passes, 0.01);
        }
    }

    private static void assertTimed(Map<String, Object> row) {
        assertPositive(row, "median_us", "p10_us", "p90_us", "calls", "gb_s", "limit_us", "of_limit");
        assertTrue(Json.number(row, "p10_us") <= Json.number(row, "median_us"), row::toString);
        assertTrue(Json.number(row, "median_us") <= Json.number(row, "p90_us"), row::toString);
        double rate = Json.number(row, "moved_bytes") / Json.number(row, "median_us") / 1e3;
        assertEquals(rate, Json.number(row, "gb_s"), 1e-9 * rate);
    }

    private static void assertPositive(Map<String, Object> object, String... keys) {
        for (String key : keys) {
            double value = Json.number(object, key);
            assertTrue(value > 0 && Double.isFinite(value), key + " of " + object);
        }
    }

    @Test
    void oneBackendAndThreads() {
        Map<String, Object> bench = json("--backend", "java", "--threads", "1");
        assertEquals(1.0, bench.get("threads"));
        for (Map<String, Object> row : Json.maps(bench, "results")) assertEquals("java", row.get("backend"));
    }

    @Test
    void text() {
        String text = Outcome.of("bench", "--seconds", "0.5", "--backend", "java")
                .expect(ExitCode.DONE)
                .out();
        List<String> rows =
                text.lines().filter(line -> line.contains("  java ")).toList();
        assertEquals(2 * Case.CLIPS.size(), rows.size(), text);
        for (String row : rows) assertTrue(row.matches(".*[0-9]  #*[.]*[+]?"), row);
        assertTrue(text.contains("left out: 1 x 16Mi float32, needs --seconds 4"), text);
        assertTrue(text.contains("Limit: ") && text.contains("cannot be told from these sizes"), text);
        assertTrue(text.chars().allMatch(c -> c == '\n' || (c >= ' ' && c < 127)), text);
        assertFalse(text.contains("NaN") || text.contains("Infinity"), text);
    }

    @ParameterizedTest
    @EnumSource(names = {"SGD", "MOMENTUM", "ADAMW"})
    void updates(BenchUpdate update) {
        Map<String, Object> bench = json("--update", update.word());
        assertEquals(update.word(), bench.get("update"));
        Set<String> found = new HashSet<>();
        for (Map<String, Object> row : Json.maps(bench, "results")) {
            String what = Json.string(row, "case");
            if (Json.number(row, "elements") != 500 << 10) continue;
            found.add(row.get("backend") + " " + what);
            if (!what.equals("step") && !what.equals("clip_then_update")) {
                assertSound(row);
                continue;
            }
            assertTimed(row);
            double states = update == BenchUpdate.ADAMW ? 2 : update == BenchUpdate.MOMENTUM ? 1 : 0;
            double passes = Json.number(row, "moved_bytes") / Json.number(row, "bytes");
            assertEquals((what.equals("step") ? 4 : 6) + 2 * states, passes, what);
        }
        Set<String> expected = new HashSet<>();
        for (Backend backend : Backend.values()) {
            if (!backend.isAvailable()) continue;
            for (Case what : Case.values()) {
                expected.add(BackendOptions.name(backend) + " " + what.name().toLowerCase(Locale.ROOT));
            }
        }
        assertEquals(expected, found);
    }

    @Test
    void updatesInText() {
        String text = Outcome.of("bench", "--seconds", "0.5", "--backend", "java", "--update", "AdamW")
                .expect(ExitCode.DONE)
                .out();
        for (String what : List.of("clip and update in one", "clip, then update")) {
            String row = "500 x 1Ki +float32 +" + what + " +java +[0-9,.]+ .*[0-9]  #*[.]*[+]?";
            assertTrue(text.lines().anyMatch(line -> line.matches(row)), text);
        }
        String sentence = "Clip and update by adamw in one call take [0-9.]+ of the time of a clip and then the update,"
                + " by java, 500 x 1Ki float32[.]";
        assertTrue(text.lines().anyMatch(line -> line.matches(sentence)), text);
    }

    @Test
    void bars() {
        assertEquals("....................", BenchText.bar(0));
        assertEquals("##########..........", BenchText.bar(0.5));
        assertEquals("####################", BenchText.bar(1.02));
        assertEquals("####################+", BenchText.bar(58));
    }

    @Test
    void png() throws IOException {
        Path file = folder.resolve("bench.png");
        Outcome.of("bench", "--seconds", "0.2", "--png", file).expect(ExitCode.DONE);
        BufferedImage image = ImageIO.read(file.toFile());
        assertNotNull(image);
        assertEquals(600, image.getWidth(), "a chart of the one size that 0.2 s are enough for");
        Set<Integer> colours = new HashSet<>();
        for (int x = 0; x < image.getWidth(); x++) {
            for (int y = 0; y < image.getHeight(); y++) colours.add(image.getRGB(x, y));
        }
        assertTrue(colours.size() > 10, colours.size() + " colours");
    }

    /** With this option the JVM fails as it does on a machine that has no fonts. */
    @Test
    void withoutFonts() throws Exception {
        Path file = folder.resolve("bench.png");
        Child child = Child.start(
                "export JDK_JAVA_OPTIONS=-Dsun.awt.fontconfig=/nowhere; ",
                "bench",
                "--seconds",
                "0.2",
                "--backend",
                "java",
                "--png",
                file);
        assertEquals(ExitCode.DONE, child.await(), child::said);
        assertTrue(child.said().contains("median us"), child::said);
        assertTrue(
                child.said().contains(file + " is not written") && child.said().contains("apt-get"), child::said);
        assertFalse(Files.exists(file));
    }

    @Test
    void emulatedDevice() throws Exception {
        Path emulated =
                Path.of("../gradclip/target/native/emulated").toAbsolutePath().normalize();
        assumeTrue(Files.exists(emulated.resolve("libgradclip_cuda_emulated.so")), "the emulated device is not built");
        Child child = Child.start(
                "export JDK_JAVA_OPTIONS='-Ddev.gradclip.native.path=" + emulated + "'; ",
                "bench",
                "--seconds",
                "0.1",
                "--backend",
                "cuda",
                "--update",
                "adamw");
        assertEquals(ExitCode.DONE, child.await(), child::said);
        for (String what : List.of("clip, bites", "clip and update in one", "clip, then update")) {
            String row = "500 x 1Ki +float32 +" + what + " +cuda +[0-9,.]+ +[0-9,.]+ +[0-9,.]+ +[0-9.]+ +-";
            assertTrue(child.said().lines().anyMatch(line -> line.matches(row)), child::said);
        }
    }

    @Test
    void refusals() {
        Outcome.of("bench", "--backend", "rocm").refused(ExitCode.USAGE, "--backend", "rocm");
        Outcome.of("bench", "--update", "lion").refused(ExitCode.USAGE, "--update", "lion");
        Outcome.of("bench", "--threads", "0").refused(ExitCode.USAGE, "--threads", "1 to 1024");
        Outcome.of("bench", "--png", folder.resolve("no/such/file.png")).refused(ExitCode.USAGE, "no folder");
        if (!Backend.CUDA.isAvailable()) {
            Outcome.of("bench", "--backend", "cuda").refused(ExitCode.FAILURE, "--backend cuda", "not available");
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"0", "-1", "nan", "inf", "0x1p3", "1e9"})
    void seconds(String text) {
        Outcome.of("bench", "--seconds", text).refused(ExitCode.USAGE, "--seconds");
    }

    @Test
    void sizesThatFit() {
        assertEquals(
                List.of(),
                BenchPlan.of(20, BenchUpdate.NONE, 1L << 40, 1L << 40).leftOut());
        List<Shape> all = BenchPlan.of(20, BenchUpdate.NONE, 1L << 40, 1L << 40).shapes();
        BenchPlan small = BenchPlan.of(20, BenchUpdate.NONE, 100 << 20, 1L << 40);
        assertEquals(all.subList(0, 3), small.shapes());
        assertTrue(small.leftOut().get(0).reason().contains("128 MiB of the 100 MiB"), small::toString);
        BenchPlan heap = BenchPlan.of(20, BenchUpdate.NONE, 1L << 40, 64 << 20);
        assertEquals(all.subList(0, 2), heap.shapes());
        assertTrue(heap.leftOut().get(0).reason().contains("-Xmx"), heap::toString);
        BenchPlan update = BenchPlan.of(20, BenchUpdate.ADAMW, 1L << 40, 500 << 20);
        assertEquals(all.subList(0, 2), update.shapes());
        // Gradients, weights, and two states of 16Mi elements, which are float32 beside bfloat16, too.
        assertTrue(update.leftOut().get(0).reason().contains("heap of 512 MiB"), update::toString);
        BenchPlan memory = BenchPlan.of(20, BenchUpdate.ADAMW, 320 << 20, 1L << 40);
        assertEquals(all.subList(0, 3), memory.shapes());
        assertTrue(memory.leftOut().get(0).reason().contains("384 MiB of the 320 MiB"), memory::toString);
        assertEquals(
                all, BenchPlan.of(20, BenchUpdate.ADAMW, 1L << 40, 1L << 40).shapes());
        assertEquals(
                all.subList(0, 1),
                BenchPlan.of(0.1, BenchUpdate.NONE, 1L << 40, 1L << 40).shapes());
    }

    @Test
    void helpExplainsEveryKey() {
        String help = Outcome.of("bench", "--help").expect(ExitCode.DONE).out();
        assertTrue(help.contains("clamps of 1% of"), help);
        Map<String, Object> bench = json("--backend", "java");
        Set<String> keys = new HashSet<>(bench.keySet());
        for (String list : List.of("limits", "results", "left_out")) {
            keys.addAll(Json.maps(bench, list).get(0).keySet());
        }
        for (String key : keys) assertTrue(help.matches("(?s).*\\b" + key + "\\b.*"), key + " in " + help);
    }
}
