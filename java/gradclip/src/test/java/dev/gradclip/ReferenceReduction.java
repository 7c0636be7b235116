// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import java.util.ArrayList;
import java.util.List;

/**
 * A second implementation of the canonical order of additions, straight from docs/reduction.md and as plain as can be:
 * elements find their lane by the document's formula, missing ones add +0.0, every level is a list.
 */
final class ReferenceReduction {
    private static final int THREADS = 32;

    private ReferenceReduction() {}

    /** The sums of one segment or group: FLOAT64 tiles outside [2^-900, 2^900] are scaled, in classes of their own. */
    private record Sums(double low, double middle, double high) {}

    /** The norm of several tensors taken together; every element widened exactly. */
    static double norm(NormType type, List<DType> dtypes, List<double[]> tensors) {
        if (type.equals(NormType.INF)) {
            double largest = 0;
            for (double[] tensor : tensors) for (double x : tensor) largest = Math.max(largest, Math.abs(x));
            return largest;
        }
        List<Sums> segments = new ArrayList<>();
        for (int i = 0; i < tensors.size(); i++) segments.add(segment(type, dtypes.get(i), tensors.get(i)));
        double low = fold(segments.stream().map(Sums::low).toList());
        double middle = fold(segments.stream().map(Sums::middle).toList());
        double high = fold(segments.stream().map(Sums::high).toList());
        if (type.equals(NormType.L1)) return high == 0 ? middle : Math.scalb(high + Math.scalb(middle, -600), 600);
        if (high != 0) return Math.scalb(Math.sqrt(high + Math.scalb(middle, -1200)), 600);
        if (middle == 0) return Math.scalb(Math.sqrt(low), -600);
        return Math.sqrt(middle + Math.scalb(low, -1200));
    }

    static double norm(NormType type, DType dtype, double... values) {
        return norm(type, List.of(dtype), List.of(values));
    }

    private static Sums segment(NormType type, DType dtype, double[] x) {
        int tileSize = 16 * 512 / dtype.bytes();
        List<Double> low = new ArrayList<>();
        List<Double> middle = new ArrayList<>();
        List<Double> high = new ArrayList<>();
        for (int from = 0; from < x.length; from += tileSize) {
            double[] tile = new double[tileSize];
            System.arraycopy(x, from, tile, 0, Math.min(tileSize, x.length - from));
            double s = tile(type, dtype, tile, 0);
            double intoLow = 0;
            double intoMiddle = 0;
            double intoHigh = 0;
            if (dtype == DType.FLOAT64) {
                if (!(s <= Math.scalb(1.0, 900))) intoHigh = tile(type, dtype, tile, -600);
                else if (type.equals(NormType.L2) && s < Math.scalb(1.0, -900)) intoLow = tile(type, dtype, tile, 600);
                else intoMiddle = s;
            } else {
                intoMiddle = repaired(type, dtype, tile, s);
            }
            low.add(intoLow);
            middle.add(intoMiddle);
            high.add(intoHigh);
        }
        return new Sums(fold(low), fold(middle), fold(high));
    }

    private static double repaired(NormType type, DType dtype, double[] tile, double s) {
        if (dtype == DType.FLOAT16) return s;
        boolean squares = type.equals(NormType.L2);
        if (!(s <= Math.scalb(1.0, 120))) return Math.scalb(tile(type, dtype, tile, -70), squares ? 140 : 70);
        if (squares && s < Math.scalb(1.0, -80)) return Math.scalb(tile(type, dtype, tile, 100), -200);
        return s;
    }

    private static double tile(NormType type, DType dtype, double[] x, int exponent) {
        int v = 16 / dtype.bytes();
        double[][] lanes = new double[THREADS][v];
        for (int i = 0; i < x.length; i++) {
            int thread = i / v % THREADS;
            int component = i % v;
            double acc = lanes[thread][component];
            lanes[thread][component] = dtype == DType.FLOAT64
                    ? addDouble(type, acc, x[i] * Math.scalb(1.0, exponent))
                    : addFloat(type, (float) acc, (float) x[i] * Math.scalb(1f, exponent));
        }
        double[] s = new double[THREADS];
        for (int t = 0; t < THREADS; t++) s[t] = components(lanes[t], 0, v);
        for (int offset = 16; offset >= 1; offset /= 2) {
            double[] next = new double[THREADS];
            for (int t = 0; t < THREADS; t++) next[t] = s[t] + s[t ^ offset];
            s = next;
        }
        return s[0];
    }

    private static double addDouble(NormType type, double acc, double x) {
        return type.equals(NormType.L1) ? acc + Math.abs(x) : acc + x * x;
    }

    private static float addFloat(NormType type, float acc, float x) {
        if (type.equals(NormType.L1)) return acc + Math.abs(x);
        float square = x * x;
        return acc + square;
    }

    private static double components(double[] d, int from, int to) {
        if (to - from == 1) return d[from];
        int middle = (from + to) / 2;
        return components(d, from, middle) + components(d, middle, to);
    }

    /** Folds runs of 1024 until one entry is left. */
    static double fold(List<Double> entries) {
        if (entries.isEmpty()) return 0;
        List<Double> level = entries;
        while (level.size() > 1) {
            List<Double> above = new ArrayList<>();
            for (int from = 0; from < level.size(); from += 1024) {
                above.add(run(level.subList(from, Math.min(level.size(), from + 1024))));
            }
            level = above;
        }
        return level.get(0);
    }

    private static double run(List<Double> entries) {
        double[] s = new double[256];
        for (int j = 0; j < 256; j++) {
            double sum = j < entries.size() ? entries.get(j) : 0;
            for (int k = j + 256; k < j + 1024; k += 256) sum += k < entries.size() ? entries.get(k) : 0;
            s[j] = sum;
        }
        for (int w = 128; w >= 1; w /= 2) {
            for (int j = 0; j < w; j++) s[j] += s[j + w];
        }
        return s[0];
    }
}
