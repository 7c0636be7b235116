// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.gradclip.measure.Png;
import java.awt.Color;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A picture of clips beside peers, some of which were not timed everywhere. */
class PeerChartTest {
    private static final int DOT = new Color(0x00798C).getRGB();

    private static DuelSample sample(String workload, String contender, double micros) {
        return new DuelSample(workload, "float32", DuelCase.BITES.toString(), contender, micros, micros, micros, 5);
    }

    /** A chart of its own for each workload, also where a peer was not timed, and however far apart the times are. */
    @Test
    void workloadsStandBesideEachOther(@TempDir Path folder) throws IOException {
        Path file = folder.resolve("peers.png");
        PeerChart.write(
                List.of(
                        sample("1x16", PeerTable.OURS, 2),
                        sample("1x16", "a peer", 3000),
                        sample("1x16", "broken", Double.NaN),
                        sample("2x16", PeerTable.OURS, 4),
                        sample("resnet50, 5000000 of 25557032 elements", PeerTable.OURS, 4),
                        sample("resnet50, 5000000 of 25557032 elements", "a peer", 0.001)),
                file);
        assumeTrue(hasFonts(), "no fonts, no picture");
        BufferedImage picture = ImageIO.read(file.toFile());
        assertEquals(1200, picture.getWidth(), "two in a row");
        assertEquals(0, picture.getHeight() % 2, "two rows");
        int white = Color.WHITE.getRGB();
        for (int x = 600; x < 1200; x++) {
            assertEquals(white, picture.getRGB(x, picture.getHeight() - 60), "three charts leave a place empty");
        }
        for (int row = 0; row < 2; row++) {
            assertTrue(coloursOf(picture, 0, row).contains(DOT), "a dot of gradclip's in row " + row);
        }
    }

    private static Set<Integer> coloursOf(BufferedImage picture, int column, int row) {
        Set<Integer> colours = new HashSet<>();
        for (int x = 600 * column; x < 600 * (column + 1); x++) {
            int height = picture.getHeight() / 2;
            for (int y = height * row; y < height * (row + 1); y++) colours.add(picture.getRGB(x, y));
        }
        return colours;
    }

    private static boolean hasFonts() throws IOException {
        return Png.bytes(() -> new org.knowm.xchart.XYChartBuilder().build()) != null;
    }

    @Test
    void withoutAClipThereIsNoPicture(@TempDir Path folder) throws IOException {
        Path file = folder.resolve("peers.png");
        PeerChart.write(
                List.of(new DuelSample("1x16", "float32", DuelCase.NORM.toString(), PeerTable.OURS, 1, 1, 1, 5)), file);
        assertFalse(Files.exists(file));
    }

    /** The picture in docs/ was drawn from this file. */
    @Test
    void anEarlierReportIsReadBack() throws IOException {
        List<DuelSample> samples = DuelSample.ofReport(Path.of("results/peers-2026-11-22.json"));
        assertEquals(
                new DuelSample("1x16384", "float32", "norm", PeerTable.OURS, 1.977, 1.661, 2.92, 9875), samples.get(0));
        assertEquals(
                Set.copyOf(PeerTable.WORKLOADS),
                samples.stream()
                        .map(sample -> sample.workload().replaceFirst(",.*", ""))
                        .collect(Collectors.toSet()));
    }

    @Test
    void aReportWithoutPeersHasNoSamples(@TempDir Path folder) throws IOException {
        Path report = Files.writeString(folder.resolve("x.json"), """
                {"results": [{"peers": "no"}], "more": {"peers": [{"micros": 1}]}, "threads": 2}
                """);
        assertEquals(List.of(), DuelSample.ofReport(report));
    }

    @Test
    void aLineIsReadAsItWasWritten() throws IOException {
        DuelSample sample = new DuelSample("500x1024", "bfloat16", "does not", "a \"peer\"", 1.5, 1, 2, 7);
        assertEquals(sample, DuelSample.ofLine(sample.toLine()));
        assertTrue(sample.toLine().startsWith("{"));
    }
}
