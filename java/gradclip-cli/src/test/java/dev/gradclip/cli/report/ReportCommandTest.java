// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.cli.Outcome;
import dev.gradclip.cli.shell.ExitCode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ReportCommandTest {
    @TempDir
    Path folder;

    private Path run(String name, String text) throws IOException {
        return Files.writeString(folder.resolve(name), text);
    }

    @Test
    void runsOnOnePage() throws IOException {
        Path lines =
                run("run.jsonl", "{\"step\":0,\"norm\":2.5,\"threshold\":1,\"clipped\":true}\n{\"norm\":1}\n{\"no");
        Path csv = run("run.csv", "step,norm\n0,7.25\n");
        Path out = folder.resolve("report.html");
        Outcome outcome = Outcome.of("report", lines, csv, "-o", out).expect(ExitCode.DONE);
        assertTrue(outcome.out().matches("written: " + out + ", \\d+ KiB\n"), outcome::out);
        String page = Files.readString(out);
        assertTrue(page.startsWith("<!DOCTYPE html>") && page.contains("\"name\":\"run.jsonl\""));
        assertTrue(page.contains("7.25") && page.contains("\"steps\":2,"), "the line that was cut is left out");
        Outcome.of("report", csv, "-o", out).expect(ExitCode.DONE);
        assertFalse(Files.readString(out).contains("run.jsonl"), "replaced");
    }

    /** What is in an event file is the matter of gradclip-report's tests. */
    @Test
    void eventFilesForTensorBoard() throws IOException {
        Path lines = run("run.v1.jsonl", "{\"step\":0,\"norm\":2.5,\"time\":1764131025.5}\n");
        Path csv = run(".csv", "step,norm\n0,7.25\n");
        Path logs = folder.resolve("a/logs");
        Path out = folder.resolve("report.html");
        Outcome outcome = Outcome.of("report", lines, csv, "--tensorboard", logs, "-o", out)
                .expect(ExitCode.DONE);
        Path first = logs.resolve("run.v1/events.out.tfevents.1764131025.gradclip");
        Path second = logs.resolve(".csv/events.out.tfevents.0000000000.gradclip");
        assertTrue(outcome.out().contains("written: " + out), outcome::out);
        assertTrue(outcome.out().endsWith("written: " + first + "\nwritten: " + second + "\n"), outcome::out);
        assertTrue(new String(Files.readAllBytes(first), StandardCharsets.ISO_8859_1).contains("grad_norm/global"));
        long size = Files.size(first);
        Outcome again = Outcome.of("report", lines, "--tensorboard", logs).expect(ExitCode.DONE);
        assertEquals("written: " + first + "\n", again.out());
        assertEquals(size, Files.size(first), "replaced");
    }

    @Test
    void eventFilesThatAreRefused() throws IOException {
        Path good = run("run.jsonl", "{\"norm\":1}\n");
        Path same = run("run.csv", "step,norm\n0,7.25\n");
        Path logs = folder.resolve("logs");
        Outcome.of("report", good, same, "--tensorboard", logs)
                .refused(ExitCode.USAGE, "would both be the run run in TensorBoard");
        Outcome.of("report", good, "--tensorboard", same).refused(ExitCode.USAGE, "--tensorboard takes a folder");
        Outcome.of("report", run("bad.jsonl", "{}\n"), "--tensorboard", logs)
                .refused(ExitCode.USAGE, "bad.jsonl: line 1 has no norm");
        Outcome.of("report", run("none.jsonl", ""), "--tensorboard", logs).refused(ExitCode.USAGE, "holds no clip yet");
        assertFalse(Files.exists(logs.resolve("run")), "an error before it writes nothing");
    }

    @Test
    void refusals() throws IOException {
        Path good = run("run.jsonl", "{\"norm\":1}\n");
        Path out = folder.resolve("report.html");
        Outcome.of("report", good).refused(ExitCode.USAGE, "--output", "--tensorboard");
        Outcome.of("report", "-o", out).refused(ExitCode.USAGE, "RUN");
        Outcome.of("report", folder.resolve("no.jsonl"), "-o", out)
                .refused(ExitCode.USAGE, "no.jsonl", "there is no such file", "RunRecorder");
        Outcome.of("report", folder, "-o", out).refused(ExitCode.USAGE, "is a folder");
        Outcome.of("report", good, run("bad.jsonl", "{\"norm\":1}\n{}\n"), "-o", out)
                .refused(ExitCode.USAGE, "bad.jsonl: line 2 has no norm");
        Outcome.of("report", run("none.jsonl", ""), "-o", out).refused(ExitCode.USAGE, "holds no clip yet");
        Outcome.of("report", good, "-o", folder.resolve(".").resolve("run.jsonl"))
                .refused(ExitCode.USAGE, "is a run file and the output");
        Outcome.of("report", good, "-o", folder.resolve("no/x.html")).refused(ExitCode.USAGE, "no folder");
        assertFalse(Files.exists(out), "an error writes nothing");
        assertEquals("{\"norm\":1}\n", Files.readString(good));
    }
}
