// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.reduce;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.DType;
import java.nio.DoubleBuffer;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** The sums of the parts of a segment add up to the bits of the segment, wherever it is cut. */
class CutTest {
    private static final int TILE = Tiles.elements(DType.FLOAT32);

    @Test
    void partsAddUpToTheWhole() {
        for (int seed = 0; seed < 400; seed++) {
            Random random = new Random(seed);
            int tiles = 1 + random.nextInt(seed % 40 == 0 ? 1_200_000 : 5000);
            double[] partials = random.doubles(tiles).toArray();
            long total = (long) tiles * TILE - random.nextInt(TILE);
            int[] cuts = new int[2 + random.nextInt(6)];
            for (int i = 1; i < cuts.length - 1; i++) {
                cuts[i] = random.nextInt(tiles + 1);
                // Some cuts are at whole runs.
                if (random.nextInt(3) == 0) cuts[i] -= cuts[i] % Fold.RUN;
            }
            cuts[cuts.length - 1] = tiles;
            Arrays.sort(cuts);
            double want = new Fold().sum(partials, 0, tiles);
            assertEquals(want, ofParts(partials, cuts, total), "seed " + seed);
        }
    }

    private static double ofParts(double[] partials, int[] cuts, long total) {
        Fold all = new Fold();
        for (int i = 1; i < cuts.length; i++) {
            if (cuts[i] == cuts[i - 1]) continue;
            long first = (long) cuts[i - 1] * TILE;
            long end = Math.min(total, (long) cuts[i] * TILE);
            Cut cut = Cut.of(DType.FLOAT32, first, end - first, total);
            int tiles = cuts[i] - cuts[i - 1];
            assertTrue(cut.sums() <= 2 * (Fold.RUN - 1) + tiles / Fold.RUN + 1);
            // The partials of others lie before and after.
            double[] sums = new double[cut.sums() + 2];
            cut.write(DoubleBuffer.wrap(partials), cuts[i - 1], new Fold(), sums, 1);
            cut.addTo(all, sums, 1);
        }
        return all.finish();
    }

    /** Only the first and the last run of a part are sent as tiles. */
    @Test
    void aWholeRunIsOneSum() {
        long run = (long) Fold.RUN * TILE;
        assertEquals(1, Cut.of(DType.FLOAT32, 0, run, 3 * run).sums());
        assertEquals(2, Cut.of(DType.FLOAT32, run, 2 * run, 3 * run).sums());
        assertEquals(
                1 + 1023, Cut.of(DType.FLOAT32, TILE, 2 * run - TILE, 3 * run).sums());
        assertEquals(5, Cut.of(DType.FLOAT32, 7L * TILE, 5L * TILE, 3 * run).sums());
        assertEquals(2, Cut.of(DType.FLOAT32, run, run + 5, 2 * run + 5).sums());
    }
}
