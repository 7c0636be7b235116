// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.measure.Png;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Bars beside peers, some of which were not timed everywhere. */
class PeerChartTest {
    private static DuelSample sample(String workload, String contender, double micros) {
        return new DuelSample(workload, "float32", DuelCase.BITES.toString(), contender, micros, micros, micros, 5);
    }

    @Test
    void aWorkloadThatAPeerLacksIsLeftOut(@TempDir Path folder) throws IOException {
        Path file = folder.resolve("bars.png");
        PeerChart.write(
                List.of(
                        sample("1x16", PeerTable.OURS, 2),
                        sample("1x16", "a peer", 3),
                        sample("2x16", PeerTable.OURS, 4)),
                file);
        boolean hasFonts = Png.bytes(() -> new org.knowm.xchart.XYChartBuilder().build()) != null;
        assertEquals(hasFonts, Files.exists(file));
    }

    @Test
    void aLineIsReadAsItWasWritten() throws IOException {
        DuelSample sample = new DuelSample("500x1024", "bfloat16", "does not", "a \"peer\"", 1.5, 1, 2, 7);
        assertEquals(sample, DuelSample.ofLine(sample.toLine()));
        assertTrue(sample.toLine().startsWith("{"));
    }
}
