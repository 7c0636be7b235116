// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.gradclip.ClipEvent;
import dev.gradclip.ClipRule;
import dev.gradclip.NonFinitePolicy;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RunPageTest {
    /** The page sets this when all is drawn. */
    private static final String READY = "data-ready=\"";

    @TempDir
    Path folder;

    /** A run with all that a page shows: clipped, skipped and non-finite steps, norms of 0, and layers. */
    private Path run(String name, int steps, int layers) throws IOException {
        Path file = folder.resolve(name);
        Random random = new Random(1);
        Map<String, Double> norms = new LinkedHashMap<>();
        try (RunRecorder recorder =
                RunRecorder.builder(file).tensorNorms().normsEvery(2).open()) {
            for (int step = 0; step < steps; step++) {
                double norm = step == 7 ? 0 : Math.exp(random.nextGaussian());
                boolean bad = step % 50 == 11;
                if (bad) norm = Double.NaN;
                norms.clear();
                for (int i = 0; i < layers; i++) norms.put("</script>layer<b> " + i, norm * (i + 1));
                recorder.onClip(new ClipEvent(
                        step,
                        norm,
                        1,
                        norm > 1 || step % 100 == 11,
                        bad,
                        Map.of(),
                        step % 2 == 0 ? norms : Map.of(),
                        ClipRule.globalNorm(1)
                                .withNonFinitePolicy(
                                        step % 100 == 11 ? NonFinitePolicy.PROPAGATE : NonFinitePolicy.SKIP)));
            }
        }
        return file;
    }

    @Test
    void holdsAllThatItNeeds() throws IOException {
        String page = page(run("a<b>.jsonl", 100, 3));
        assertFalse(page.contains("src="), "a script from elsewhere");
        assertFalse(page.contains("@import"), "a style from elsewhere");
        assertTrue(page.contains("default-src 'none'"), "no network");
        assertTrue(page.contains("\"steps\":100,") && page.contains("\"skipped\":1,") && page.contains("\"zeros\":1,"));
        assertEquals(4, page.split("</script>", -1).length, "three scripts, and no name ends one");
        for (String place : List.of("/*CHARTS", "/*PAGE", "/*DATA")) assertFalse(page.contains(place), place);
    }

    private static String page(Path... files) throws IOException {
        return new String(RunPage.of(List.of(files)), StandardCharsets.UTF_8);
    }

    /** However long a run is, its page has a size that a browser takes. */
    @Test
    void manyStepsAreBins() throws IOException {
        StringBuilder lines = new StringBuilder();
        for (int i = 0; i < 100_000; i++)
            lines.append("{\"norm\":").append(1 + i % 100).append("}\n");
        String page = page(Files.writeString(folder.resolve("long.jsonl"), lines));
        assertTrue(page.contains("\"bin\":100,"), "bins of 100 steps");
        assertTrue(page.length() < 300_000, page.length() + " characters");
        assertTrue(page.contains("\"mid\":[50.5,50.5,"), "their median");
        String exact = page(Files.writeString(folder.resolve("short.jsonl"), "{\"norm\":2}\n".repeat(2000)));
        assertTrue(exact.contains("\"bin\":1,"), "up to 2000 steps are drawn one by one");
    }

    @Test
    void nothingToDraw() throws IOException {
        for (String text : List.of("", "{\"gradclip_run\":1}\n", "{\"norm\":1}")) {
            Path file = Files.writeString(folder.resolve("run.jsonl"), text);
            BadRunException e = assertThrows(BadRunException.class, () -> RunPage.of(List.of(file)));
            assertTrue(String.valueOf(e.getMessage()).contains("holds no clip yet"), e::getMessage);
        }
    }

    @Test
    void aBrowserDrawsIt() throws Exception {
        String chromium = chromium();
        assumeTrue(chromium != null, "no Chromium on PATH; Debian has it as the package chromium");
        Path report = folder.resolve("report.html");
        Path measured =
                Files.writeString(folder.resolve("none.jsonl"), "{\"norm\":null}\n{\"norm\":0}\n{\"norm\":\"nan\"}\n");
        Files.write(
                report,
                RunPage.of(List.of(
                        run("exact.jsonl", 150, 4), run("bins.csv", 3000, 40), run("one.jsonl", 1, 1), measured)));
        Path log = folder.resolve("chromium.log");
        Path dom = folder.resolve("dom.html");
        Process process = new ProcessBuilder(
                        String.valueOf(chromium),
                        "--headless",
                        "--no-sandbox",
                        "--disable-gpu",
                        "--enable-logging=stderr",
                        "--user-data-dir=" + folder.resolve("profile"),
                        "--virtual-time-budget=10000",
                        "--dump-dom",
                        report.toUri().toString())
                .redirectOutput(dom.toFile())
                .redirectError(log.toFile())
                .start();
        if (!process.waitFor(60, TimeUnit.SECONDS)) process.destroyForcibly().waitFor();
        String said = Files.readString(log, StandardCharsets.ISO_8859_1);
        String drawn = Files.readString(dom);
        assertTrue(drawn.contains(READY), () -> "not drawn: " + said);
        assertFalse(said.contains("CONSOLE"), said);
        for (String text : List.of(
                "exact.jsonl",
                "bins.csv",
                "A point stands for 3 steps, a bin",
                "1 norm of 0 has no place on a logarithmic axis.",
                "This run has no norm to draw",
                "Share of the norm by tensor",
                "and 20 tensors more",
                "&lt;/script&gt;layer&lt;b&gt; 3")) {
            assertTrue(drawn.contains(text), text);
        }
    }

    private static @Nullable String chromium() {
        String path = String.valueOf(System.getenv("PATH"));
        return Stream.of(path.split(File.pathSeparator, -1))
                .flatMap(folder -> Stream.of("chromium", "chromium-browser", "google-chrome")
                        .map(name -> folder + File.separator + name))
                .filter(file -> Files.isExecutable(Path.of(file)))
                .findFirst()
                .orElse(null);
    }
}
