// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.demo;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

/** The intervals of the demo's picture. */
class DemoChartTest {
    /**
     * Both ends solve (p - share)² = z² p (1 - p) / n, from which Wilson's formula comes; for all of n runs the lower one
     * is n / (n + z²).
     */
    @Test
    void wilsonsInterval() {
        assertArrayEquals(new double[] {5 / (5 + 3.841459), 1}, DemoChart.interval(1, 5), 1e-6);
        assertArrayEquals(new double[] {0, 3.841459 / (5 + 3.841459)}, DemoChart.interval(0, 5), 1e-6);
        for (int runs : new int[] {1, 2, 5, 20, 1000}) {
            for (int solved = 0; solved <= runs; solved++) {
                double share = (double) solved / runs;
                double[] ends = DemoChart.interval(share, runs);
                assertTrue(ends[0] >= 0 && ends[1] <= 1);
                assertTrue(ends[0] <= share + 1e-12 && share - 1e-12 <= ends[1]);
                for (double end : ends) {
                    assertEquals(3.841459 * end * (1 - end) / runs, (end - share) * (end - share), 1e-6);
                }
            }
        }
    }
}
