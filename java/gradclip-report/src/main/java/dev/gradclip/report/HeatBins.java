// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.report;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The norms of layers over steps in at most {@link #MOST} bins, however many steps come: when all bins are full, two
 * become one, and each later one takes twice as many lines. A bin has the largest norm of its lines.
 */
final class HeatBins {
    static final int MOST = 1024;

    /** The levels of a cell before those of the scale. */
    static final int NONE = 0;

    static final int NON_FINITE = 1;
    static final int ZERO = 2;
    private static final int FIRST = 3;
    private static final int LAST = 255;

    /** The decades that the scale covers at most, down from the largest norm. */
    private static final double MOST_DECADES = 15;

    private static final double ABSENT = -1;

    private final Map<String, Integer> rows = new LinkedHashMap<>();
    private final List<double[]> largest = new ArrayList<>();
    private final List<double[]> shares = new ArrayList<>();
    private final long[] firstSteps = new long[MOST];
    private int bins;
    private int width = 1;
    private int inLast;
    private long lines;
    private long lastStep;
    private List<String> names = List.of();
    private int[] rowOf = {};

    /**
     * Adds a line.
     *
     * @param power of the norm type, for shares; infinity leaves them out
     */
    void add(long step, List<String> ofNames, double[] norms, double power) {
        if (!ofNames.equals(names)) {
            names = ofNames;
            rowOf = ofNames.stream().mapToInt(this::row).toArray();
        }
        if (bins == 0 || inLast == width) begin(step);
        inLast++;
        lines++;
        lastStep = step;
        double top = 0;
        for (int i = 0; i < norms.length; i++) {
            double[] row = largest.get(rowOf[i]);
            row[bins - 1] = larger(row[bins - 1], norms[i]);
            top = Math.max(top, norms[i]);
        }
        // Divided by the largest, so that no power overflows; a NaN or an infinity makes a line without shares.
        if (!(top > 0) || Double.isInfinite(top) || Double.isInfinite(power)) return;
        double sum = 0;
        for (double norm : norms) sum += Math.pow(norm / top, power);
        for (int i = 0; i < norms.length; i++) {
            double[] share = shares.get(rowOf[i]);
            share[0] += Math.pow(norms[i] / top, power) / sum;
            share[1]++;
        }
    }

    private int row(String name) {
        Integer known = rows.get(name);
        if (known != null) return known;
        double[] row = new double[MOST];
        Arrays.fill(row, ABSENT);
        largest.add(row);
        shares.add(new double[2]);
        rows.put(name, largest.size() - 1);
        return largest.size() - 1;
    }

    private static double larger(double a, double b) {
        return Double.isNaN(a) || Double.isNaN(b) ? Double.NaN : Math.max(a, b);
    }

    private void begin(long step) {
        if (bins == MOST) halve();
        firstSteps[bins++] = step;
        inLast = 0;
    }

    private void halve() {
        for (double[] row : largest) {
            for (int i = 0; i < MOST / 2; i++) row[i] = larger(row[2 * i], row[2 * i + 1]);
            Arrays.fill(row, MOST / 2, MOST, ABSENT);
        }
        for (int i = 0; i < MOST / 2; i++) firstSteps[i] = firstSteps[2 * i];
        bins = MOST / 2;
        width *= 2;
        inLast = width;
    }

    boolean isEmpty() {
        return bins == 0;
    }

    List<String> names() {
        return List.copyOf(rows.keySet());
    }

    /** How many lines are in a bin. */
    int width() {
        return width;
    }

    long lines() {
        return lines;
    }

    /** The first step of each bin, and the last of all. */
    long[] steps() {
        long[] steps = Arrays.copyOf(firstSteps, bins + 1);
        steps[bins] = lastStep;
        return steps;
    }

    /** The mean share of each row in the norm, by the lines that have it; NaN where none does. */
    double[] shares() {
        return shares.stream().mapToDouble(share -> share[0] / share[1]).toArray();
    }

    /** The smallest and the largest norm of the scale, or nothing where no norm is finite and above 0. */
    double[] scale() {
        double low = Double.POSITIVE_INFINITY;
        double high = 0;
        for (double[] row : largest) {
            for (int i = 0; i < bins; i++) {
                if (!(row[i] > 0) || Double.isInfinite(row[i])) continue;
                low = Math.min(low, row[i]);
                high = Math.max(high, row[i]);
            }
        }
        if (high == 0) return new double[0];
        return new double[] {Math.max(low, high / Math.pow(10, MOST_DECADES)), high};
    }

    /** The cells row by row, as levels of the scale. */
    byte[] levels() {
        double[] scale = scale();
        byte[] levels = new byte[largest.size() * bins];
        int at = 0;
        for (double[] row : largest) for (int i = 0; i < bins; i++) levels[at++] = (byte) level(row[i], scale);
        return levels;
    }

    private static int level(double norm, double[] scale) {
        if (norm == ABSENT) return NONE;
        if (!Double.isFinite(norm)) return NON_FINITE;
        if (norm == 0) return ZERO;
        double decades = Math.log10(scale[1] / scale[0]);
        double place = decades == 0 ? 1 : Math.log10(norm / scale[0]) / decades;
        return FIRST + (int) Math.round(Math.max(0, Math.min(1, place)) * (LAST - FIRST));
    }
}
