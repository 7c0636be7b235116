// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.measure;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.awt.Color;
import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** Where dots are, read from the pixels. */
class DotRowsTest {
    private static final Color DOT = new Color(0xFF0000);

    private static BufferedImage picture(DotRows... rows) throws IOException {
        byte[] png =
                Png.inColumns(() -> List.of(rows).stream().map(DotRows::chart).toList(), 2);
        assumeTrue(png != null, "no fonts, no picture");
        return ImageIO.read(new ByteArrayInputStream(png == null ? new byte[0] : png));
    }

    /** The middles of the dots, from the top down. */
    private static List<int[]> dots(BufferedImage picture) {
        List<int[]> found = new ArrayList<>();
        int last = -9;
        for (int y = 0; y < picture.getHeight() - 60; y++) {
            for (int x = 0; x < picture.getWidth(); x++) {
                if (picture.getRGB(x, y) != DOT.getRGB()) continue;
                if (y > last + 1) found.add(new int[] {x, y});
                last = y;
                break;
            }
        }
        return found;
    }

    private static DotRows.Dot dot(int row, double value) {
        return new DotRows.Dot(row, value, value, value, "");
    }

    @Test
    void aDecadeIsADistance() throws IOException {
        List<String> names = IntStream.range(0, 4).mapToObj(i -> "row " + i).toList();
        DotRows rows = new DotRows("", "GB/s", names, 30, 0.01, 1000);
        rows.dots("a", DOT, SeriesMarkers.SQUARE, 0, List.of(dot(3, 100), dot(0, 0.1), dot(1, 1), dot(2, 10)));
        List<int[]> dots = dots(picture(rows));
        assertEquals(4, dots.size());
        int decade = dots.get(1)[0] - dots.get(0)[0];
        int row = dots.get(1)[1] - dots.get(0)[1];
        assertTrue(decade > 50 && row > 15, decade + " " + row);
        for (int i = 1; i < 4; i++) {
            assertEquals(decade, dots.get(i)[0] - dots.get(i - 1)[0], 1, "columns");
            assertEquals(row, dots.get(i)[1] - dots.get(i - 1)[1], 1, "the first row is on top");
        }
    }

    /** An axis that is cut off must not lose a dot, and neither must a row whose name another has. */
    @Test
    void dotsBeyondTheAxisAreAtItsEnd() throws IOException {
        DotRows rows = new DotRows("", "", List.of("same", "same"), 30, 1, 10);
        rows.dots("a", DOT, SeriesMarkers.SQUARE, 0, List.of(dot(0, 1e-30), dot(1, 1e30)));
        rows.line(50, Color.BLACK);
        rows.note(0, "a note");
        assertEquals(2, dots(picture(rows)).size());
    }

    @Test
    void oneRowAndNoDots() throws IOException {
        DotRows rows = new DotRows("", "", List.of("alone"), 30, 1, 10);
        rows.dots("none", DOT, SeriesMarkers.SQUARE, 0, List.of());
        assertEquals(0, dots(picture(rows)).size());
        DotRows one = new DotRows("", "", List.of("alone"), 30, 1, 10);
        one.dots("one", DOT, SeriesMarkers.SQUARE, 0.3, List.of(new DotRows.Dot(0, 5, 1, 1e9, "5")));
        assertEquals(1, dots(picture(one)).size());
    }

    /** XChart's choice of ticks depends on the numbers; whatever it is, each row has its name at its dots. */
    @ParameterizedTest
    @ValueSource(doubles = {0, 0.15, -0.3, 0.37})
    void everyRowHasItsName(double shift) throws IOException {
        for (int height : new int[] {18, 20, 46, 56}) {
            for (int count : new int[] {1, 2, 3, 6, 9, 14}) {
                List<String> names =
                        IntStream.range(0, count).mapToObj(i -> "MMMM").toList();
                DotRows rows = new DotRows("title", "axis", names, height, 1, 10);
                rows.dots(
                        "a",
                        DOT,
                        SeriesMarkers.SQUARE,
                        shift,
                        IntStream.range(0, count).mapToObj(row -> dot(row, 3)).toList());
                BufferedImage picture = picture(rows);
                List<int[]> dots = dots(picture);
                assertEquals(count, dots.size());
                double pitch = count == 1 ? 85 : dots.get(1)[1] - dots.get(0)[1];
                assertTrue(pitch > 0.85 * height, pitch + " pixels from row to row");
                for (int[] dot : dots) {
                    // The dot's upper edge is half a mark above its middle.
                    int middle = dot[1] + 4 + (int) Math.round(shift * pitch);
                    assertTrue(isWritten(picture, middle), count + " rows of " + height + " pixels");
                }
            }
        }
    }

    private static boolean isWritten(BufferedImage picture, int y) {
        for (int x = 0; x < 30; x++) if ((picture.getRGB(x, y) & 0xFF) < 100) return true;
        return false;
    }

    @Test
    void theLastRowMayBeShorter() throws IOException {
        DotRows rows = new DotRows("", "", List.of("a"), 30, 1, 10);
        BufferedImage picture = picture(rows, rows, rows);
        assertEquals(2 * rows.chart().getWidth(), picture.getWidth());
        assertEquals(2 * rows.chart().getHeight(), picture.getHeight());
        assertEquals(Color.WHITE.getRGB(), picture.getRGB(picture.getWidth() - 1, picture.getHeight() - 1));
    }

    @Test
    void refusals() {
        List<String> names = List.of("a");
        assertThrows(IllegalArgumentException.class, () -> new DotRows("", "", List.of(), 30, 1, 10));
        assertThrows(IllegalArgumentException.class, () -> new DotRows("", "", names, 17, 1, 10));
        assertThrows(IllegalArgumentException.class, () -> new DotRows("", "", names, 30, 0, 10));
        assertThrows(IllegalArgumentException.class, () -> new DotRows("", "", names, 30, 10, 10));
        assertThrows(IllegalArgumentException.class, () -> new DotRows("", "", names, 30, Double.NaN, 10));
    }
}
