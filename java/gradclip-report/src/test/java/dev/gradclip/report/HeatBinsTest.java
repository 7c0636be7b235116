// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.report;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class HeatBinsTest {
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 1023, 1024, 1025, 2047, 2048, 2049, 5000, 8192, 8193, 100_000})
    void largestOfEachBin(int lines) {
        Random random = new Random(lines);
        double[] norms = random.doubles(lines, 1, 10).toArray();
        HeatBins bins = new HeatBins();
        for (int i = 0; i < lines; i++) bins.add(3L * i, List.of("a"), new double[] {norms[i]}, 2);
        int width = bins.width();
        assertTrue(width == 1 || (lines + width - 1) / width > HeatBins.MOST / 2, "as many bins as may be");
        int count = (lines + width - 1) / width;
        assertTrue(count <= HeatBins.MOST);
        byte[] levels = bins.levels();
        assertEquals(count, levels.length);
        double[] scale = bins.scale();
        long[] steps = bins.steps();
        assertEquals(count + 1, steps.length);
        assertEquals(3L * (lines - 1), steps[count]);
        for (int bin = 0; bin < count; bin++) {
            double largest = 0;
            for (int i = bin * width; i < Math.min(lines, (bin + 1) * width); i++) {
                largest = Math.max(largest, norms[i]);
            }
            assertEquals(3L * bin * width, steps[bin]);
            int level = levels[bin] & 0xff;
            double shown = scale[0] * Math.pow(scale[1] / scale[0], (level - 3) / 252.0);
            assertEquals(largest, shown, 0.01 * largest);
        }
    }

    @Test
    void whatHasNoPlaceOnTheScaleHasItsOwnLevel() {
        HeatBins bins = new HeatBins();
        bins.add(0, List.of("a", "b"), new double[] {0, 1e-300}, 2);
        bins.add(1, List.of("b", "c"), new double[] {Double.NaN, 1e300}, 2);
        bins.add(2, List.of("a", "b"), new double[] {Double.POSITIVE_INFINITY, 1e250}, 2);
        assertEquals(List.of("a", "b", "c"), bins.names());
        assertArrayEquals(new byte[] {2, 0, 1, 3, 1, 3, 0, (byte) 255, 0}, bins.levels());
        assertArrayEquals(new double[] {1e285, 1e300}, bins.scale(), 1e286);
    }

    @Test
    void shares() {
        HeatBins bins = new HeatBins();
        bins.add(0, List.of("a", "b"), new double[] {3e200, 4e200}, 2);
        bins.add(1, List.of("a", "b"), new double[] {0, 0}, 2);
        bins.add(2, List.of("a", "b"), new double[] {Double.NaN, 1}, 2);
        assertArrayEquals(new double[] {0.36, 0.64}, bins.shares(), 1e-12);
        HeatBins ofL1 = new HeatBins();
        ofL1.add(0, List.of("a", "b"), new double[] {1, 3}, 1);
        assertArrayEquals(new double[] {0.25, 0.75}, ofL1.shares(), 1e-12);
        HeatBins ofMaximum = new HeatBins();
        ofMaximum.add(0, List.of("a"), new double[] {1}, Double.POSITIVE_INFINITY);
        assertArrayEquals(new double[] {Double.NaN}, ofMaximum.shares());
        assertArrayEquals(new double[0], new HeatBins().scale());
    }
}
