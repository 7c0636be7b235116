// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.reduce;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.DoubleBuffer;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** The fold against one written level by level over whole arrays, with up to three levels. */
class FoldTest {
    private static double reference(double[] entries) {
        double[] level = entries;
        while (level.length > 1) {
            double[] above = new double[(level.length + 1023) / 1024];
            for (int run = 0; run < above.length; run++) above[run] = run(level, 1024 * run);
            level = above;
        }
        return level.length == 0 ? 0 : level[0];
    }

    private static double run(double[] level, int from) {
        double[] padded = Arrays.copyOf(Arrays.copyOfRange(level, from, Math.min(level.length, from + 1024)), 1024);
        double[] s = new double[256];
        for (int j = 0; j < 256; j++) s[j] = ((padded[j] + padded[j + 256]) + padded[j + 512]) + padded[j + 768];
        for (int w = 128; w >= 1; w /= 2) for (int j = 0; j < w; j++) s[j] = s[j] + s[j + w];
        return s[0];
    }

    private static double[] entries(int n) {
        Random random = new Random(n);
        double[] entries = new double[n];
        for (int i = 0; i < n; i++) entries[i] = random.nextDouble() * Math.scalb(1.0, random.nextInt(30));
        return entries;
    }

    @Test
    void everySizeUpToTwoRuns() {
        Fold fold = new Fold();
        for (int n = 0; n <= 2050; n++) {
            double[] entries = entries(n);
            for (double entry : entries) fold.add(entry);
            assertEquals(reference(entries), fold.finish(), "entries: " + n);
        }
    }

    @Test
    void threeLevels() {
        Fold fold = new Fold();
        int million = 1 << 20;
        for (int n : new int[] {million - 1, million, million + 1, million + 1025, 2 * million + 77}) {
            double[] entries = entries(n);
            fold.addAll(DoubleBuffer.wrap(entries), 0, n);
            assertEquals(reference(entries), fold.finish(), "entries: " + n);
        }
    }

    @Test
    void entriesInAnyPortionsGiveTheSameBits() {
        Random random = new Random(8);
        Fold fold = new Fold();
        double[] entries = entries(70_000);
        DoubleBuffer buffer = DoubleBuffer.wrap(entries);
        for (int round = 0; round < 50; round++) {
            int from = 0;
            while (from < entries.length) {
                int to = Math.min(entries.length, from + random.nextInt(3000));
                if (random.nextBoolean()) fold.addAll(buffer, from, to);
                else for (int i = from; i < to; i++) fold.add(entries[i]);
                from = to;
            }
            assertEquals(reference(entries), fold.finish());
        }
    }

    @Test
    void nothingIsLeftOverFromBefore() {
        Fold fold = new Fold();
        for (int n : new int[] {1_100_000, 3, 1024, 0, 1, 1025}) {
            double[] entries = entries(n);
            fold.addAll(DoubleBuffer.wrap(entries), 0, n);
            assertEquals(reference(entries), fold.finish());
        }
        assertEquals(0.0, fold.finish());
    }

    /** An Error in the middle of a sum leaves entries behind, which the next sum must not count. */
    @Test
    void aSumDoesNotCountWhatWasAddedBefore() {
        for (int n : new int[] {0, 1, 1023, 1024, 5000}) {
            double[] entries = entries(n);
            for (int left : new int[] {1, 1024, 1_100_000}) {
                Fold fold = new Fold();
                fold.addAll(entries(left), 0, left);
                assertEquals(reference(entries), fold.sum(entries, 0, n));
                fold.add(7);
                assertEquals(reference(entries), fold.sum(DoubleBuffer.wrap(entries), 0, n));
            }
        }
    }

    @Test
    void aNaNStays() {
        Fold fold = new Fold();
        for (int at : new int[] {0, 255, 256, 1023, 1024, 5000}) {
            double[] entries = entries(5001);
            entries[at] = Double.NaN;
            fold.addAll(DoubleBuffer.wrap(entries), 0, entries.length);
            assertEquals(Double.NaN, fold.finish());
        }
    }
}
