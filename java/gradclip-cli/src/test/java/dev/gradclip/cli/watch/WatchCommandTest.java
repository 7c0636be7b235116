// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.watch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.ClipRule;
import dev.gradclip.GradientClipper;
import dev.gradclip.HostBuffer;
import dev.gradclip.NonFinitePolicy;
import dev.gradclip.cli.Child;
import dev.gradclip.cli.Outcome;
import dev.gradclip.cli.shell.ExitCode;
import dev.gradclip.report.RunRecorder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class WatchCommandTest {
    @TempDir
    Path folder;

    private Path run(String text) throws IOException {
        return Files.writeString(folder.resolve("run.jsonl"), text);
    }

    @Test
    void onceShowsFiguresAndPlot() throws IOException {
        StringBuilder lines = new StringBuilder();
        for (int i = 0; i < 128; i++) {
            boolean high = i >= 64 && i < 66;
            lines.append("{\"norm\":" + (high ? 1000 : 0.1) + ",\"threshold\":1,\"clipped\":" + high + "}\n");
        }
        lines.append("{\"norm\":\"nan\",\"threshold\":1,\"non_finite\":true,\"skipped\":true}\n");
        List<String> shown = Outcome.of("watch", run(lines.toString()), "--once", "--last", "128")
                .expect(ExitCode.DONE)
                .out()
                .lines()
                .toList();
        assertEquals(
                List.of(
                        "step 128: norm nan, threshold 1, skipped",
                        "129 steps, clipped 1.6 %, skipped 0.8 %, not finite 0.8 %",
                        "last 128 steps: median 0.1, largest 1000, clipped 1.6 %",
                        ""),
                shown.subList(0, 4));
        assertEquals(14, shown.size(), shown::toString);
        assertTrue(shown.get(4).contains("▄") || shown.get(4).contains("▇"), shown.get(4));
        assertTrue(shown.stream().anyMatch(line -> line.startsWith("         1 |---")), shown::toString);
        assertTrue(shown.get(12).matches(" +\\^+ +x"), shown.get(12));
        for (String line : shown) assertTrue(line.length() <= 80 && !line.endsWith(" "), line);
    }

    @Test
    void whatHasNoPlaceInAPlot() throws IOException {
        String said = Outcome.of("watch", run("{\"norm\":null}\n{\"norm\":0}\n{\"norm\":\"inf\"}\n"), "--once")
                .expect(ExitCode.DONE)
                .out();
        assertTrue(said.contains("no norm above 0 to draw in the last 3 steps"), said);
        Outcome.of(
                        "watch",
                        run("{\"norm\":5e-324}\n{\"norm\":1.7e308}\n{\"norm\":3,\"threshold\":\"inf\"}\n"),
                        "--once")
                .expect(ExitCode.DONE);
        Outcome.of("watch", run("{\"norm\":2}\n"), "--once", "--last", "1").expect(ExitCode.DONE);
    }

    @Test
    void refusals() throws IOException {
        Outcome.of("watch", folder.resolve("no.jsonl")).refused(ExitCode.USAGE, "there is no such file");
        Outcome.of("watch", run("x\n")).refused(ExitCode.USAGE, "line 1");
        Outcome.of("watch", run(""), "--once").refused(ExitCode.USAGE, "holds no clip yet");
        for (String last : List.of("0", "-1", "x", "99999999")) {
            Outcome.of("watch", run("{\"norm\":1}\n"), "--last", last).refused(ExitCode.USAGE, "--last");
        }
    }

    /** In a pipe it prints each step as the training writes it, and a signal ends it. */
    @Test
    void followsATraining() throws Exception {
        Path file = folder.resolve("run.jsonl");
        try (RunRecorder recorder = RunRecorder.create(file);
                GradientClipper clipper = GradientClipper.builder()
                        .add(HostBuffer.wrap(new float[] {3, 4}))
                        .listener(recorder)
                        .build()) {
            clipper.clip(ClipRule.globalNorm(2).withEpsilon(0));
            recorder.flush();
            Child child = Child.start("", "watch", file);
            child.awaitSaid("step 0  norm 5  threshold 2  coefficient 0.4  clipped\n");
            clipper.clip(ClipRule.globalNorm(2).withEpsilon(0).withNonFinitePolicy(NonFinitePolicy.SKIP));
            recorder.flush();
            child.awaitSaid("step 1  norm 2  threshold 2  coefficient 1\n");
            Files.writeString(file, "{\"norm\":\"nan\",\"skipped\":true}\n", StandardOpenOption.APPEND);
            child.awaitSaid("step 2  norm nan  not finite  skipped\n");
            Files.writeString(file, "{\"norm", StandardOpenOption.APPEND);
            Thread.sleep(300);
            assertTrue(child.process().isAlive(), child::said);
            child.process().destroy();
            assertEquals(128 + 15, child.await(), child::said);
            assertFalse(child.said().contains("error"), child::said);
        }
    }

    /** On a terminal it draws anew over what it drew. */
    @Test
    void drawsOnATerminal() throws Exception {
        Path file = run("");
        String setup = "export TERM=xterm JDK_JAVA_OPTIONS=-Dgradclip.terminal.out=true; ";
        Child child = Child.start(setup, "watch", file);
        child.awaitSaid("waiting for the first step");
        Files.writeString(file, "{\"norm\":2,\"threshold\":1}\n", StandardOpenOption.APPEND);
        child.awaitSaid("\u001b[1A\u001b[Jstep 0: norm 2, threshold 1\n1 step, clipped 0 %\n");
        Files.writeString(file, "{\"norm\":3,\"threshold\":1}\n", StandardOpenOption.APPEND);
        child.awaitSaid("\u001b[14A\u001b[Jstep 1: norm 3, threshold 1\n2 steps, clipped 0 %\n");
        child.process().destroy();
        assertEquals(128 + 15, child.await(), child::said);
    }
}
