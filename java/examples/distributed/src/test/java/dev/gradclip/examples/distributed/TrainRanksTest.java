// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.distributed;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(180)
class TrainRanksTest {
    private record Ended(int code, String text) {}

    @BeforeAll
    static void natives() {
        try {
            torch.set_num_threads(1);
        } catch (LinkageError e) {
            System.out.println("distributed: no LibTorch natives for this platform, tests skipped: " + e);
            assumeTrue(false, e::toString);
        }
    }

    private static Ended run(String... arguments) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home", ""), "bin", "java").toString(),
                "-cp",
                System.getProperty("java.class.path", ""),
                TrainRanks.class.getName()));
        command.addAll(List.of(arguments));
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertTrue(process.waitFor(60, TimeUnit.SECONDS));
        return new Ended(process.exitValue(), text);
    }

    private static double loss(String text, int step) {
        String line = text.lines()
                .filter(l -> l.startsWith(String.format("step %3d ", step)))
                .findFirst()
                .orElseThrow(() -> new AssertionError(text));
        return Double.parseDouble(line.replaceAll(".*loss ([0-9.]+) .*", "$1"));
    }

    @Test
    void moreTilesAreMoreBytes() {
        long one = bytes(CombineTimes.row(3, 5, 1));
        assertEquals(5 * 8, bytes(CombineTimes.row(3, 5, 2)) - one);
        assertEquals(2, CombineTimes.row(2, 5, 1).split("ms", -1).length);
    }

    private static long bytes(String row) {
        return Long.parseLong(row.split("\\|", -1)[3].strip().replace(",", ""));
    }

    @Test
    void threeRanksLearnAndClipByOneNorm() throws Exception {
        Ended ended = run("--ranks=3", "--steps=31");
        assertEquals(0, ended.code(), ended.text());
        assertTrue(loss(ended.text(), 30) < 0.8 * loss(ended.text(), 0), ended.text());
        assertTrue(ended.text().contains("(bits of one process)"), ended.text());
    }

    @Test
    void aKilledRankEndsTheOthersByName() throws Exception {
        long start = System.nanoTime();
        Ended ended = run("--ranks=3", "--steps=20", "--kill=1");
        assertEquals(TrainRanks.KILLED, ended.code(), ended.text());
        for (int rank : new int[] {0, 2}) {
            assertTrue(ended.text().contains("rank " + rank + " of 3 got no answer: rank 1 has ended"), ended.text());
        }
        // A rank that noticed nothing would wait for 60 s.
        assertTrue(System.nanoTime() - start < 40_000_000_000L);
    }

    /** The bytes that a rank sends are those of the formula in docs/distributed.md, and the norm is one process's. */
    @Test
    void bytesAreThoseOfTheFormula() throws Exception {
        Ended ended = run("--ranks=2", "--steps=2", "--gradients=3x5000000");
        assertEquals(0, ended.code(), ended.text());
        String[] cells = ended.text()
                .lines()
                .filter(line -> line.startsWith("| 3x5000000"))
                .findFirst()
                .orElseThrow(() -> new AssertionError(ended.text()))
                .split("\\|", -1);
        assertEquals(cells[8].strip(), cells[7].strip(), ended.text());
    }

    @Test
    void aRankThatIsSlowOrLateIsWaitedFor() throws Exception {
        Ended ended = run("--ranks=2", "--steps=3", "--slow=1", "--late=1", "--seconds=0.7");
        assertEquals(0, ended.code(), ended.text());
        String waited = "(?s).*rank 0 waited (0\\.[5-9]|[1-9][0-9]*\\.[0-9]) s ";
        assertTrue(ended.text().matches(waited + "for all to meet\\n.*"), ended.text());
        assertTrue(ended.text().matches(waited + "for the others in step 1\\n.*"), ended.text());
    }
}
