// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.reduce;

import java.nio.DoubleBuffer;
import java.util.Arrays;

/**
 * Adds entries up in the canonical order, in runs of 1024 and then runs of runs, as they come: memory does not grow
 * with the number of entries. Entries are not negative, or NaN.
 */
public final class Fold {
    private static final int RUN = 1024;
    private static final int WIDTH = 256;

    private double[][] levels = new double[][] {new double[RUN], new double[RUN]};
    private int[] sizes = new int[2];

    /** The sum of the entries {@code [from, to)} of a buffer, whatever came before. */
    public double sum(DoubleBuffer entries, int from, int to) {
        Arrays.fill(sizes, 0);
        addAll(entries, from, to);
        return finish();
    }

    /** The sum of the entries {@code [from, to)} of an array, whatever came before. */
    double sum(double[] entries, int from, int to) {
        Arrays.fill(sizes, 0);
        addAll(entries, from, to);
        return finish();
    }

    /** The next entry. */
    void add(double entry) {
        levels[0][sizes[0]++] = entry;
        if (sizes[0] == RUN) carry(0);
    }

    /** The entries {@code [from, to)} of a buffer, next. */
    void addAll(DoubleBuffer entries, int from, int to) {
        while (from < to) {
            int n = Math.min(to - from, RUN - sizes[0]);
            entries.get(from, levels[0], sizes[0], n);
            sizes[0] += n;
            from += n;
            if (sizes[0] == RUN) carry(0);
        }
    }

    /** The entries {@code [from, to)} of an array, next. */
    void addAll(double[] entries, int from, int to) {
        while (from < to) {
            int n = Math.min(to - from, RUN - sizes[0]);
            System.arraycopy(entries, from, levels[0], sizes[0], n);
            sizes[0] += n;
            from += n;
            if (sizes[0] == RUN) carry(0);
        }
    }

    /** The sum of all entries since the last call, 0 when there were none; starts anew. */
    double finish() {
        double result = 0;
        for (int level = 0; level < levels.length; level++) {
            if (sizes[level] == 0) continue;
            result = sumRun(levels[level], sizes[level]);
            sizes[level] = 0;
            if (above(level)) push(level + 1, result);
        }
        return result;
    }

    private boolean above(int level) {
        for (int i = level + 1; i < levels.length; i++) if (sizes[i] > 0) return true;
        return false;
    }

    private void carry(int level) {
        double sum = sumRun(levels[level], sizes[level]);
        sizes[level] = 0;
        push(level + 1, sum);
    }

    private void push(int level, double entry) {
        if (level == levels.length) {
            double[][] more = Arrays.copyOf(levels, level + 1);
            more[level] = new double[RUN];
            sizes = Arrays.copyOf(sizes, level + 1);
            levels = more;
        }
        levels[level][sizes[level]++] = entry;
        if (sizes[level] == RUN) carry(level);
    }

    /** Overwrites the run. A missing entry would add +0.0, so it is left out. */
    private static double sumRun(double[] run, int n) {
        for (int block = WIDTH; block < n; block += WIDTH) {
            int width = Math.min(WIDTH, n - block);
            for (int j = 0; j < width; j++) run[j] += run[block + j];
        }
        int left = Math.min(n, WIDTH);
        for (int w = WIDTH / 2; w >= 1; w /= 2) {
            for (int j = 0; j < w && j + w < left; j++) run[j] += run[j + w];
            left = Math.min(left, w);
        }
        return run[0];
    }
}
