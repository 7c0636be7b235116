// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.inspect;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Random;
import org.junit.jupiter.api.Test;

class MagnitudesTest {
    @Test
    void everyFiniteElementIsInABinNearItsSize() {
        Random random = new Random(1);
        for (int i = 0; i < 1000; i++) {
            double element = Double.longBitsToDouble(random.nextLong());
            if (!Double.isFinite(element) || Math.abs(element) < Double.MIN_NORMAL) continue;
            Magnitudes one = new Magnitudes();
            one.add(new double[] {element, 7}, 1);
            one.forEach(size -> size, (size, share) -> {
                assertEquals(Math.abs(element), size, 0.04 * size);
                assertEquals(1, share);
            });
        }
    }

    @Test
    void whatHasNoLogarithmIsInNoBin() {
        Magnitudes some = new Magnitudes();
        some.add(new double[] {0, -0.0, Double.NaN, Double.NEGATIVE_INFINITY, -4, Double.MIN_VALUE, 4, 1}, 8);
        assertEquals(0.25, some.zeroShare());
        double[] seen = new double[3];
        some.forEach(size -> 2 * size, (size, share) -> {
            assertTrue(size > seen[0], "ascending");
            seen[0] = size;
            seen[1] += share;
            seen[2]++;
        });
        assertEquals(0.5, seen[1]);
        assertEquals(3, seen[2]);
        assertEquals(8.25, seen[0], "4 to 4.25, and by the rule twice that");
        assertEquals(0, new Magnitudes().zeroShare());
    }
}
