// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.demo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.cli.Json;
import dev.gradclip.cli.Outcome;
import dev.gradclip.cli.shell.ExitCode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import javax.imageio.ImageIO;

/** Runs a short {@code gradclip demo --framework} on this class path and checks it, for the frameworks' examples. */
public final class FrameworkDemo {
    private FrameworkDemo() {}

    public static void check(String framework, Path folder) throws IOException {
        Path json = folder.resolve("demo.json");
        Path png = folder.resolve("demo.png");
        Outcome outcome = Outcome.of("demo", "--framework", framework, "--seconds", "1", "--json", json, "--png", png)
                .expect(ExitCode.DONE);
        String header = "clipping +final loss +test accuracy +steps clipped +largest norm";
        assertTrue(outcome.out().lines().anyMatch(line -> line.strip().matches(header)), outcome::out);
        for (String row : List.of("none ", "value ", "norm ")) {
            assertTrue(outcome.out().lines().anyMatch(line -> line.startsWith(row)), row + outcome.out());
        }
        assertNotNull(ImageIO.read(png.toFile()));
        Map<String, Object> figures = Json.object(Files.readString(json));
        assertEquals("null", String.valueOf(figures.get("temporal_order")));
        Map<String, Object> digits = Json.map(figures, "digits");
        assertEquals(framework, Json.string(digits, "framework"));
        runs(Json.maps(digits, "runs"));
    }

    private static void runs(List<Map<String, Object>> runs) {
        assertEquals(3, runs.size());
        for (Map<String, Object> run : runs) {
            String name = Json.string(run, "clipping");
            List<?> norms = (List<?>) Json.get(run, "norms");
            assertTrue(norms.size() >= 3, "steps: " + norms);
            for (Object norm : norms) assertTrue(norm instanceof Double d && d > 0, name + ": " + norms);
            assertEquals(name.equals("none"), Json.number(run, "clipped_steps") == 0, name);
            double accuracy = Json.number(run, "test_accuracy");
            assertTrue(accuracy >= 0 && accuracy <= 1, name + ": " + accuracy);
        }
        for (String clipped : List.of("value", "norm")) {
            Map<String, Object> none = runs.get(0);
            Map<String, Object> other = runs.stream()
                    .filter(run -> Json.string(run, "clipping").startsWith(clipped))
                    .findFirst()
                    .orElseThrow();
            assertEquals(loss(none, 0), loss(other, 0), 1e-4, clipped + " begins with other weights or images");
            assertNotEquals(loss(none, 1), loss(other, 1), 1e-4, clipped + " changes nothing");
        }
    }

    private static double loss(Map<String, Object> run, int step) {
        return (Double) ((List<?>) Json.get(run, "losses")).get(step);
    }
}
