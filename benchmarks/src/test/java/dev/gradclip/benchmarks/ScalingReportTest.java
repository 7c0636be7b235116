// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import dev.gradclip.Backend;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

/** Everything once, as small as it gets. */
class ScalingReportTest {
    @TempDir
    Path folder;

    private static String out(ThrowingRunnable call) throws IOException {
        PrintStream before = System.out;
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        System.setOut(new PrintStream(bytes, true, StandardCharsets.UTF_8));
        try {
            call.run();
        } finally {
            System.setOut(before);
        }
        return bytes.toString(StandardCharsets.UTF_8);
    }

    private interface ThrowingRunnable {
        void run() throws IOException;
    }

    @Test
    void tablesFiguresAndCharts() throws IOException {
        Path json = folder.resolve("scaling.json");
        Path charts = folder.resolve("charts");
        String[] args = {
            "--quick",
            "--millis",
            "2",
            "--largest",
            "1048576",
            "--starts",
            "1",
            "--json",
            json.toString(),
            "--png",
            charts.toString()
        };
        String text = out(() -> assertEquals(0, new CommandLine(new ScalingReport()).execute(args)));
        assertTrue(text.contains("| elements | norm µs | GB/s | clip µs (bites) | GB/s |"), text);
        assertTrue(text.contains("- norm, up to 4 MiB: ") && text.contains(", off by "), text);
        assertTrue(text.lines().anyMatch(line -> line.matches("\\| 16Ki( \\| [0-9.]+( \\(.*\\))?){4} \\|")), text);
        assertFalse(text.contains("NaN") || text.contains("Infinity"), text);
        // Sizes 2^10, 2^14 and 2^18; 1 to 10,000 tensors of 2^20 elements; all of them a norm and a clip.
        Map<String, List<Double>> numbers = numbers(json);
        int workers =
                ScalingRuns.workers(Runtime.getRuntime().availableProcessors()).size();
        assertEquals(2 * (3 + 5 + workers), size(numbers, "micros"));
        assertEquals(3, size(numbers, "rebind_micros"));
        assertEquals(List.of(0.0, 10.0, 1000.0), numbers.get("moved"));
        assertEquals(6, size(numbers, "millis"));
        for (String key : List.of("micros", "micros_p10", "rebind_micros", "rebind_and_clip_micros", "millis")) {
            assertTrue(numbers.getOrDefault(key, List.of()).stream().allMatch(v -> v > 0 && v < 1e9), key);
        }
        for (String name : List.of("size", "tensors", "threads", "rebind", "start")) {
            BufferedImage image =
                    ImageIO.read(charts.resolve("scaling-" + name + ".png").toFile());
            assertNotNull(image, name);
            assertEquals(800, image.getWidth());
        }
    }

    private static int size(Map<String, List<Double>> numbers, String key) {
        return numbers.getOrDefault(key, List.of()).size();
    }

    private static Map<String, List<Double>> numbers(Path file) throws IOException {
        Map<String, List<Double>> result = new TreeMap<>();
        try (JsonParser parser = new JsonFactory().createParser(file.toFile())) {
            while (parser.nextToken() != null) {
                if (!parser.currentToken().isNumeric()) continue;
                result.computeIfAbsent(parser.currentName(), n -> new ArrayList<>())
                        .add(parser.getDoubleValue());
            }
        }
        return result;
    }

    @Test
    void whatMemoryDoesNotAllowIsSkippedAloud() {
        List<String> said = new ArrayList<>();
        ScalingRuns runs = new ScalingRuns(Backend.JAVA, 1, 0, 1 << 20, 1L << 30, 10, said::add);
        assertEquals(2, runs.sizes().size());
        assertTrue(said.contains("skipped: 1Mi floats, 4 MiB of the 1 MiB that may be used"), said::toString);
        assertTrue(said.contains("skipped: 1Gi floats, 4096 MiB of the 1 MiB that may be used"), said::toString);
        assertEquals(List.of(), runs.counts());
    }
}
