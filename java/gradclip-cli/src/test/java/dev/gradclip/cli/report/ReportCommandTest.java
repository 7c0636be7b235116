// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.cli.Outcome;
import dev.gradclip.cli.shell.ExitCode;
import java.io.IOException;
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

    @Test
    void refusals() throws IOException {
        Path good = run("run.jsonl", "{\"norm\":1}\n");
        Path out = folder.resolve("report.html");
        Outcome.of("report", good).refused(ExitCode.USAGE, "--output");
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
