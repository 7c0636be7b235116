// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.demo;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.Backend;
import dev.gradclip.cli.Child;
import dev.gradclip.cli.Json;
import dev.gradclip.cli.Outcome;
import dev.gradclip.cli.shell.ExitCode;
import dev.gradclip.demo.Digits;
import dev.gradclip.demo.IdxFolder;
import dev.gradclip.report.RunReader;
import dev.gradclip.report.RunStep;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class DemoCommandTest {
    @TempDir
    Path folder;

    private Path json() {
        return folder.resolve("demo.json");
    }

    private Path png() {
        return folder.resolve("demo.png");
    }

    private Outcome demo(Object... more) {
        List<Object> args = new ArrayList<>(List.of("demo", "--json", json(), "--png", png(), "--seconds", "0.3"));
        args.addAll(List.of(more));
        return Outcome.of(args.toArray());
    }

    private Map<String, Object> figures() throws IOException {
        return Json.object(Files.readString(json()));
    }

    private Set<String> names() throws IOException {
        try (var files = Files.list(folder)) {
            return files.map(f -> f.getFileName().toString()).collect(Collectors.toSet());
        }
    }

    @Test
    void bothExperiments() throws IOException {
        Outcome outcome = demo().expect(ExitCode.DONE);
        assertEquals("", outcome.err());
        assertTrue(outcome.out().contains(Digits.CREDIT), outcome::out);
        for (String row : List.of(
                "none ", "value 0.003 ", "norm 0.1 ", "norm 1 ", "percentile ", "10 ", "15 ", "20 ", "25 ", "30 ")) {
            assertTrue(outcome.out().lines().anyMatch(line -> line.strip().startsWith(row)), row + outcome.out());
        }
        assertEquals(Set.of("demo.json", "demo.png"), names());
        Map<String, Object> figures = figures();
        assertEquals("gradclip demo", figures.get("written_by"));
        for (Map<String, Object> run : Json.maps(Json.map(figures, "digits"), "runs")) {
            double steps = Json.number(run, "steps");
            assertEquals(steps, ((List<?>) Json.get(run, "losses")).size());
            assertEquals(steps, ((List<?>) Json.get(run, "norms")).size());
            boolean none = Json.string(run, "clipping").equals("none");
            assertEquals(none, Json.number(run, "clipped_steps") == 0, () -> run.get("clipping") + " clipped");
        }
        assertEquals(50, Json.maps(Json.map(figures, "temporal_order"), "runs").size());
        BufferedImage image = ImageIO.read(png().toFile());
        assertNotNull(image);
        assertTrue(image.getWidth() > 1000 && Files.size(png()) < 200_000, image.getWidth() + " " + Files.size(png()));
    }

    @Test
    void sameSeedSameFileOnEveryBackend() throws IOException {
        demo("--backend", "java", "--threads", "1").expect(ExitCode.DONE);
        String java = Files.readString(json());
        byte[] picture = Files.readAllBytes(png());
        for (Backend backend : List.of(Backend.JAVA, Backend.NATIVE)) {
            if (!backend.isAvailable()) continue;
            String name = backend.name().toLowerCase(Locale.ROOT);
            demo("--backend", name, "--threads", "3").expect(ExitCode.DONE);
            assertEquals(
                    java, Files.readString(json()).replace("\"backend\":\"" + name + "\"", "\"backend\":\"java\""));
            assertArrayEquals(picture, Files.readAllBytes(png()));
        }
        demo("--seed", "2").expect(ExitCode.DONE);
        assertFalse(java.equals(Files.readString(json()).replace("\"seed\":2", "\"seed\":1")));
    }

    /** Alone an experiment has the numbers that it has beside the other. */
    @Test
    void oneExperiment() throws IOException {
        demo().expect(ExitCode.DONE);
        Map<String, Object> both = figures();
        demo("digits").expect(ExitCode.DONE);
        assertEquals(both.get("digits"), figures().get("digits"));
        assertEquals("null", String.valueOf(figures().get("temporal_order")));
        demo("Temporal-Order").expect(ExitCode.DONE);
        assertEquals(both.get("temporal_order"), figures().get("temporal_order"));
        assertEquals("null", String.valueOf(figures().get("digits")));
    }

    @Test
    void cliff() throws IOException {
        Outcome outcome = Outcome.of("demo", "--cliff", png()).expect(ExitCode.DONE);
        assertTrue(outcome.out().contains("unclipped: at the wall"), outcome::out);
        assertEquals(Set.of("demo.png"), names());
        assertTrue(ImageIO.read(png().toFile()).getWidth() > 500);
        Outcome.of("demo", "digits", "--cliff", png()).refused(ExitCode.USAGE, "--cliff trains nothing");
        Outcome.of("demo", "--cliff", folder.resolve("no/x.png")).refused(ExitCode.USAGE, "no folder");
    }

    @Test
    void thresholds() throws IOException {
        Outcome outcome =
                Outcome.of("demo", "--thresholds", png(), "--seconds", "0.3").expect(ExitCode.DONE);
        for (String row : List.of("none ", "norm 1 ", "auto-clip ", "skip-spikes, norm 1 ")) {
            assertTrue(outcome.out().lines().anyMatch(line -> line.startsWith(row)), row + outcome.out());
        }
        assertEquals(Set.of("demo.png"), names());
        assertTrue(ImageIO.read(png().toFile()).getHeight() > 800);
        Outcome.of("demo", "digits", "--thresholds", png()).refused(ExitCode.USAGE, "--thresholds has trainings");
        Outcome.of("demo", "--cliff", png(), "--thresholds", png()).refused(ExitCode.USAGE, "--cliff trains nothing");
        Outcome.of("demo", "--thresholds", png(), "--seconds", "0").refused(ExitCode.USAGE, "--seconds must be");
        Outcome.of("demo", "--thresholds", folder.resolve("no/x.png")).refused(ExitCode.USAGE, "no folder");
    }

    @Test
    void filesOfOthersStay() throws IOException {
        for (Path file : List.of(json(), png())) {
            for (String text : List.of("", "mine", "{\"written_by\":\"gradclip\"}")) {
                Files.writeString(file, text);
                demo().refused(ExitCode.USAGE, file.toString(), "not by gradclip demo", "--force");
                assertEquals(text, Files.readString(file));
                assertEquals(Set.of(file.getFileName().toString()), names());
            }
            demo("--force").expect(ExitCode.DONE);
            demo().expect(ExitCode.DONE);
            Files.delete(json());
            Files.delete(png());
        }
        // A chart by another command of this project.
        Outcome.of("bench", "--seconds", "0.1", "--png", png()).expect(ExitCode.DONE);
        demo().refused(ExitCode.USAGE, "demo.png");
    }

    @Test
    void refusals() throws IOException {
        demo("mnist").refused(ExitCode.USAGE, "'mnist'", "digits and temporal-order");
        Outcome.of("demo", "--json", json(), "--png", json()).refused(ExitCode.USAGE, "same file");
        Outcome.of("demo", "--json", folder.resolve("no/such/file"), "--png", png())
                .refused(ExitCode.USAGE, "no folder");
        demo("--data", folder.resolve("nowhere")).refused(ExitCode.USAGE, "nowhere", "four files");
        demo("temporal-order", "--data", folder).refused(ExitCode.USAGE, "--data");
        demo("--threads", "0").refused(ExitCode.USAGE, "--threads");
        demo("--seed", "x").refused(ExitCode.USAGE, "--seed");
        if (!Backend.CUDA.isAvailable()) {
            demo("--backend", "cuda").refused(ExitCode.FAILURE, "--backend cuda", "not available");
        }
        assertEquals(Set.of(), names());
    }

    @ParameterizedTest
    @ValueSource(strings = {"0", "-1", "nan", "inf", "1e6"})
    void seconds(String text) {
        Outcome.of("demo", "--json", json(), "--png", png(), "--seconds", text)
                .refused(ExitCode.USAGE, "--seconds", "0.1 to 86400");
    }

    @Test
    void ownData() throws IOException {
        Path data = Files.createDirectory(folder.resolve("data"));
        IdxFolder.write(data, 200, 50, 6, 5);
        Outcome outcome = demo("digits", "--data", data).expect(ExitCode.DONE);
        assertTrue(outcome.out().contains(data.toString()) && !outcome.out().contains(Digits.CREDIT), outcome::out);
        assertEquals(200, Json.number(Json.map(figures(), "digits"), "train"));
        Files.write(data.resolve("train-images-idx3-ubyte"), new byte[20]);
        demo("digits", "--data", data).refused(ExitCode.USAGE, "train-images-idx3-ubyte", "no IDX file");
        IdxFolder.write(data, 200, 50, 6, 5);
        Map<String, Object> plain = figures();
        IdxFolder.pack(data);
        demo("digits", "--data", data).expect(ExitCode.DONE);
        assertEquals(plain, figures());
        for (String name : List.of("train-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")) {
            byte[] whole = Files.readAllBytes(data.resolve(name));
            Files.write(data.resolve(name), Arrays.copyOf(whole, whole.length - 9));
            demo("digits", "--data", data).refused(ExitCode.USAGE, name, "truncated");
            Files.write(data.resolve(name), whole);
        }
        // Fewer images than a batch.
        IdxFolder.write(data, 3, 1, 6, 5);
        demo("digits", "--data", data).expect(ExitCode.DONE);
    }

    /** What is recorded is what the demo says; and recording changes no number. */
    @Test
    void recordsRuns() throws IOException {
        demo("digits").expect(ExitCode.DONE);
        Map<String, Object> plain = figures();
        Path runs = folder.resolve("new/runs");
        Outcome outcome = demo("digits", "--record", runs).expect(ExitCode.DONE);
        assertEquals(plain, figures());
        for (Map<String, Object> run : Json.maps(Json.map(plain, "digits"), "runs")) {
            String clipping = Json.string(run, "clipping");
            Path file = runs.resolve("digits-" + clipping.replace(' ', '-') + ".jsonl");
            assertTrue(outcome.out().contains("written: " + file), outcome::out);
            List<Object> norms = new ArrayList<>();
            int clipped = 0;
            try (RunReader reader = RunReader.open(file)) {
                for (RunStep step = reader.next(); step != null; step = reader.next()) {
                    norms.add(step.norm());
                    if (step.clipped()) clipped++;
                    assertEquals(clipping.startsWith("value") ? 0 : 5, reader.norms().length);
                }
            }
            assertEquals(Json.number(run, "clipped_steps"), clipped);
            if (!clipping.startsWith("value")) assertEquals(Json.get(run, "norms"), norms);
        }
        demo("digits", "--record", runs).refused(ExitCode.USAGE, "digits-none.jsonl", "is there already", "--force");
        demo("digits", "--record", runs, "--force").expect(ExitCode.DONE);
        demo("temporal-order", "--record", runs).refused(ExitCode.USAGE, "--record is for digits");
        demo("digits", "--record", json()).refused(ExitCode.USAGE, "takes a folder");
    }

    @Test
    void helpExplainsEveryKey() throws IOException {
        String help = Outcome.of("demo", "--help").expect(ExitCode.DONE).out().replaceAll("\\s+", " ");
        assertTrue(help.contains(Digits.CREDIT) && help.contains("1211.5063"), help);
        demo().expect(ExitCode.DONE);
        Map<String, Object> figures = figures();
        Set<String> keys = new HashSet<>(figures.keySet());
        for (String part : List.of("digits", "temporal_order")) {
            Map<String, Object> experiment = Json.map(figures, part);
            keys.addAll(experiment.keySet());
            keys.addAll(Json.maps(experiment, "runs").get(0).keySet());
        }
        keys.addAll(
                Json.maps(Json.map(figures, "temporal_order"), "success").get(0).keySet());
        for (String key : keys) assertTrue(help.matches("(?s).*\\b" + key + "\\b.*"), key + " in " + help);
    }

    @Test
    void interruptedLeavesNothing() throws Exception {
        Files.writeString(folder.resolve("other"), "stays");
        Child child = Child.start("cd '" + folder + "'; ", "demo", "--seconds", "3600");
        Thread.sleep(3000);
        assertTrue(child.process().isAlive(), child::said);
        child.process().destroy();
        assertEquals(128 + 15, child.await(), child::said);
        assertEquals(Set.of("other"), names());
    }

    /** Both files in the current folder, without a screen. */
    @Test
    void currentFolder() throws Exception {
        Child child = Child.start("unset DISPLAY; cd '" + folder + "'; ", "demo", "--seconds", "0.2");
        assertEquals(ExitCode.DONE, child.await(), child::said);
        assertEquals(Set.of("demo.json", "demo.png"), names());
    }

    @Test
    void withoutFontsTheFiguresAreThere() throws Exception {
        Path none = Files.createDirectory(folder.resolve("nofonts"));
        String setup = "export JDK_JAVA_OPTIONS=-Dsun.awt.fontconfig=/nowhere; cd '" + none + "'; ";
        Child child = Child.start(setup, "demo", "--seconds", "0.2");
        assertEquals(ExitCode.DONE, child.await(), child::said);
        assertTrue(child.said().contains("fonts"), child::said);
        assertTrue(Files.exists(none.resolve("demo.json")) && !Files.exists(none.resolve("demo.png")), child::said);
    }
}
