// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.DocsExample;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The examples in docs/watching.md compile against this build, record what they say, and are read as it says. */
class DocsExampleTest {
    private static final Path PAGE = Path.of("../../docs/watching.md");

    @TempDir
    private Path folder = Path.of("");

    /** Runs an example in place of whose training there are three clips; returns the run's folder. */
    private Path clipped(int number) throws Exception {
        String example = DocsExample.examples("watching.md").get(number);
        String training = "// … training …";
        assertTrue(example.contains(training), example);
        String program = """
                import dev.gradclip.*;
                import dev.gradclip.report.*;
                import java.nio.file.*;

                public class Example {
                    public static void main(String[] args) throws Exception {
                        float[] weights = new float[100];
                EXAMPLE
                    }
                }
                """.replace(
                "EXAMPLE",
                example.replace("Path.of(\"", "Path.of(\"" + folder + "/").replace(training, """
                for (int step = 0; step < 3; step++) {
                    java.util.Arrays.fill(weights, step + 0.25f);
                    clipper.clipByGlobalNorm(10);
                }
                """));
        DocsExample ran = DocsExample.runProgram(program, folder);
        assertEquals(0, ran.exit(), ran::errors);
        assertEquals("", ran.errors());
        assertEquals("", ran.output());
        return folder;
    }

    @Test
    void theExampleRecords() throws Exception {
        try (RunReader reader = RunReader.open(clipped(0).resolve("run.jsonl"))) {
            for (int step = 0; step < 3; step++) {
                RunStep found = Objects.requireNonNull(reader.next());
                assertEquals(step, found.step());
                assertEquals(10 * (step + 0.25), found.norm());
                assertEquals(10, found.threshold());
                assertEquals(step > 0, found.clipped());
            }
            assertNull(reader.next());
        }
    }

    @Test
    void theExampleForTensorBoardRecords() throws Exception {
        try (Stream<Path> files = Files.list(clipped(1).resolve("logs/run-1"))) {
            List<Path> events = files.toList();
            assertEquals(1, events.size());
            assertTrue(
                    String.valueOf(events.get(0).getFileName()).startsWith("events.out.tfevents."), events::toString);
            String bytes = Files.readString(events.get(0), StandardCharsets.ISO_8859_1);
            assertEquals(4, bytes.split("grad_norm/global", -1).length, "three clips");
        }
        assertEquals(2, DocsExample.examples("watching.md").size(), "each has a test");
    }

    /** The lines under "The run file" are read as the table below them says. */
    @Test
    void theLinesAreARunFile() throws Exception {
        String page = Files.readString(PAGE);
        String lines = block(page.substring(page.indexOf("## The run file")));
        Path file = Files.writeString(folder.resolve("run.jsonl"), lines);
        try (RunReader reader = RunReader.open(file)) {
            assertEquals(
                    new RunStep(0, 1764131025.123, 5, 2.5, 0.5, true, false, false),
                    Objects.requireNonNull(reader.next()));
            assertEquals(List.of("layer 0", "layer 1"), reader.names());
            assertEquals("global-norm", reader.rule());
            assertNull(reader.next());
        }
        String least = "{\"step\":0,\"norm\":2.5}";
        assertTrue(page.contains("`" + least + "` is enough"));
        Path brief = Files.writeString(folder.resolve("brief.jsonl"), least + "\n");
        try (RunReader reader = RunReader.open(brief)) {
            assertEquals(2.5, Objects.requireNonNull(reader.next()).norm());
        }
        for (Path run : List.of(file, brief)) assertTrue(RunPage.of(List.of(run)).length > 0);
    }

    private static String block(String text) {
        return Pattern.compile("```\n(.*?)```", Pattern.DOTALL)
                .matcher(text)
                .results()
                .map((MatchResult found) -> found.group(1))
                .findFirst()
                .orElseThrow();
    }

    /** Each builder call that the page's table names exists under that name. */
    @Test
    void theTableNamesCallsThatExist() throws Exception {
        String page = Files.readString(PAGE);
        List<String> calls = Pattern.compile("`(?:builder\\(file\\))?\\.?(\\w+)\\((\\d*)\\)`")
                .matcher(page.substring(page.indexOf("| norms of layers"), page.indexOf("| adapters")))
                .results()
                .map((MatchResult found) -> found.group(1))
                .toList();
        for (String call : calls) {
            boolean exists = List.of(RunRecorder.Builder.class.getMethods()).stream()
                    .anyMatch(method -> method.getName().equals(call));
            assertTrue(exists, call);
        }
        assertTrue(calls.containsAll(List.of("groupNorms", "normsEvery", "append")), calls::toString);
    }
}
