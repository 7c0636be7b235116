// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class RunReaderTest {
    @TempDir
    Path folder;

    private List<RunStep> read(String text) throws IOException {
        Path file = Files.writeString(folder.resolve("run.jsonl"), text);
        List<RunStep> steps = new ArrayList<>();
        try (RunReader reader = RunReader.open(file)) {
            for (RunStep step = reader.next(); step != null; step = reader.next()) steps.add(step);
        }
        return steps;
    }

    /** Lines of other programs, with as little as a norm, with more, and with Windows' line ends. */
    @Test
    void linesOfOthers() throws IOException {
        List<RunStep> steps = read("{\"norm\":2}\r\n\n{\"loss\":[{\"a\":1},[2]],\"norm\":3.5,\"step\":10}\n"
                + "{\"step\":11,\"norm\":\"nan\"}\n{\"step\":5,\"norm\":1}\n{\"step\":6,\"norm\":1}\n{\"norm\":9}");
        assertEquals(
                List.of(0L, 10L, 11L, 12L, 13L),
                steps.stream().map(RunStep::step).toList());
        assertTrue(steps.get(2).nonFinite() && !steps.get(1).nonFinite());
        List<RunStep> csv = read("epoch,norm,step\n1,2.5,3\n1,,4\n1,inf,5\n");
        assertEquals(2.5, csv.get(0).norm());
        assertTrue(Double.isNaN(csv.get(1).norm())
                && !csv.get(1).nonFinite()
                && csv.get(2).nonFinite());
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "hello | neither JSON nor a CSV header",
                "PK\u0003\u0004 | neither JSON nor a CSV header",
                "{\"step\":1} | has no norm",
                "{\"norm\":1 | JSON",
                "{\"norm\":1}{} | goes on",
                "{\"norm\":true} | no number",
                "{\"norm\":\"much\"} | no number",
                "{\"norm\":1,\"clipped\":3} | not of boolean type",
                "{\"norm\":1,\"norms\":[1]} | 1 norms for 0 names",
                "{\"norm\":1,\"norms\":{}} | no list",
                "{\"norm\":1,\"norms\":[[1]]} | no number",
                "{\"gradclip_run\":1,\"names\":[1]} | a name that is no text",
                "{\"gradclip_run\":1,\"names\":[\"a\" | JSON",
                "{\"gradclip_run\":2} | version 2",
                "{\"norm\":1,\"step\":1.5e300} | can't be read",
            })
    void damage(String line, String says) {
        BadRunException e = assertThrows(BadRunException.class, () -> read(line + "\n"));
        assertTrue(String.valueOf(e.getMessage()).contains("line 1 "), e::getMessage);
        assertTrue(String.valueOf(e.getMessage()).contains(says), e::getMessage);
    }

    @Test
    void damageIsNamedByItsLine() {
        BadRunException e = assertThrows(BadRunException.class, () -> read("{\"norm\":1}\n{\"norm\":1}\n{\"no\n"));
        assertTrue(String.valueOf(e.getMessage()).contains("line 3 "), e::getMessage);
        e = assertThrows(BadRunException.class, () -> read("step,norm\n1,2,3\n"));
        assertTrue(String.valueOf(e.getMessage()).contains("3 cells for 2"), e::getMessage);
        e = assertThrows(BadRunException.class, () -> read("step,norm\n1,x2\n"));
        assertTrue(String.valueOf(e.getMessage()).contains("no number"), e::getMessage);
        e = assertThrows(BadRunException.class, () -> read("step,\"norm\n"));
        assertTrue(String.valueOf(e.getMessage()).contains("quotes"), e::getMessage);
    }

    /** Whatever bytes come, a reader returns or says that the file is bad. */
    @Test
    void anyBytes() throws IOException {
        Random random = new Random(1);
        byte[] good = ("{\"gradclip_run\":1,\"norms_of\":\"tensors\",\"names\":[\"a\",\"b\"]}\n"
                        + "{\"step\":0,\"norm\":2.5,\"clipped\":true,\"norms\":[1,\"inf\"]}\n".repeat(3))
                .getBytes(StandardCharsets.UTF_8);
        Path file = folder.resolve("run.jsonl");
        for (int i = 0; i < 1000; i++) {
            byte[] bytes = good.clone();
            for (int k = random.nextInt(4); k >= 0; k--) bytes[random.nextInt(bytes.length)] = (byte) random.nextInt();
            Files.write(file, bytes);
            try (RunReader reader = RunReader.open(file)) {
                while (reader.next() != null) assertNotNull(reader.norms());
            } catch (BadRunException e) {
                assertTrue(String.valueOf(e.getMessage()).contains("run.jsonl: line"), e::getMessage);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 7, 100})
    void aFileThatGrows(int bytesAtATime) throws IOException {
        byte[] whole = "{\"norm\":1}\n{\"norm\":2,\"x\":\"".getBytes(StandardCharsets.UTF_8);
        byte[] rest = ("y".repeat(70_000) + "\"}\n").getBytes(StandardCharsets.UTF_8);
        Path file = Files.createFile(folder.resolve("run.jsonl"));
        try (RunReader reader = RunReader.open(file)) {
            assertNull(reader.next());
            List<Double> norms = new ArrayList<>();
            for (int at = 0; at < whole.length; at += bytesAtATime) {
                byte[] part = Arrays.copyOfRange(whole, at, Math.min(whole.length, at + bytesAtATime));
                Files.write(file, part, StandardOpenOption.APPEND);
                for (RunStep step = reader.next(); step != null; step = reader.next()) norms.add(step.norm());
            }
            assertEquals(List.of(1.0), norms);
            Files.write(file, rest, StandardOpenOption.APPEND);
            RunStep last = reader.next();
            assertTrue(last != null && last.norm() == 2);
            assertNull(reader.next());
        }
    }
}
