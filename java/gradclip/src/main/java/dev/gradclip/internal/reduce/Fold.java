// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.reduce;

import java.nio.DoubleBuffer;
import java.util.Arrays;

/**
 * Adds entries up in the canonical order as they come: in runs of 1024, then the sums of runs in runs again. The memory
 * is a run for each level. Entries are 0 or more, or NaN.
 */
public final class Fold {
    static final int RUN = 1024;
    private static final int WIDTH = 256;

    private double[][] levels = new double[][] {new double[RUN], new double[RUN]};
    private int[] sizes = new int[2];

    /** Returns the sum of the entries {@code [from, to)} of a buffer alone; entries added before are dropped. */
    public double sum(DoubleBuffer entries, int from, int to) {
        Arrays.fill(sizes, 0);
        addAll(entries, from, to);
        return finish();
    }

    /** Returns the sum of the entries {@code [from, to)} of an array alone; entries added before are dropped. */
    double sum(double[] entries, int from, int to) {
        Arrays.fill(sizes, 0);
        addAll(entries, from, to);
        return finish();
    }

    /** Adds one entry. */
    void add(double entry) {
        levels[0][sizes[0]++] = entry;
        if (sizes[0] == RUN) carry(0);
    }

    /** Adds the sum of a run, whose entries come after all entries so far; they are whole runs. */
    void addRun(double sum) {
        if (sizes[0] != 0) throw new IllegalStateException("a run follows " + sizes[0] + " entries, which are none");
        push(1, sum);
    }

    /** Adds the entries {@code [from, to)} of a buffer. */
    void addAll(DoubleBuffer entries, int from, int to) {
        while (from < to) {
            int n = Math.min(to - from, RUN - sizes[0]);
            entries.get(from, levels[0], sizes[0], n);
            sizes[0] += n;
            from += n;
            if (sizes[0] == RUN) carry(0);
        }
    }

    /** Adds the entries {@code [from, to)} of an array. */
    void addAll(double[] entries, int from, int to) {
        while (from < to) {
            int n = Math.min(to - from, RUN - sizes[0]);
            System.arraycopy(entries, from, levels[0], sizes[0], n);
            sizes[0] += n;
            from += n;
            if (sizes[0] == RUN) carry(0);
        }
    }

    /** Returns the sum of all entries added since the last sum, 0 if there were none, and starts again. */
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

    /** Sums a run and overwrites it. Missing entries would add +0.0, so they are left out. */
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
