// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import java.util.Arrays;

/**
 * Keeps the norms of the last clips, and suggests a threshold from them. Norms that are NaN or infinite are counted and
 * not kept. A norm that {@link GradientClipper#globalNorm()} measures alone is not recorded. Any thread may read the
 * history.
 *
 * <pre>{@code
 * NormHistory history = new NormHistory(1000);
 * // … some hundred steps of a clipper with .listener(history) and maxNorm infinity …
 * ClipRule rule = ClipRule.globalNorm(history.suggestMaxNorm());
 * }</pre>
 */
public final class NormHistory implements ClipListener {
    private final double[] norms;
    private long seen;
    private long nonFinite;

    /** @param capacity the number of norms to keep, 1 or more */
    public NormHistory(int capacity) {
        if (capacity < 1) throw new IllegalArgumentException("capacity must be 1 or more, but is " + capacity);
        norms = new double[capacity];
    }

    @Override
    public synchronized void onClip(ClipEvent event) {
        if (event.nonFinite()) nonFinite++;
        if (!Double.isFinite(event.globalNorm())) return;
        norms[(int) (seen++ % norms.length)] = event.globalNorm();
    }

    /** The number of norms kept now. */
    public synchronized int size() {
        return (int) Math.min(seen, norms.length);
    }

    /** The number of clips, over all time, that found a NaN or an infinity. */
    public synchronized long nonFinite() {
        return nonFinite;
    }

    /** A copy of the norms kept, the oldest first. */
    public synchronized double[] norms() {
        double[] copy = new double[size()];
        for (int i = 0; i < copy.length; i++) copy[i] = norms[(int) ((seen - copy.length + i) % norms.length)];
        return copy;
    }

    /**
     * The norm that {@code percent} % of the norms kept do not exceed, interpolated between neighbours: 0 gives the
     * smallest, 50 the median, 100 the largest.
     *
     * @throws IllegalArgumentException if percent is not 0 to 100
     * @throws IllegalStateException if there is no norm yet
     */
    public double percentile(double percent) {
        if (!(percent >= 0 && percent <= 100)) {
            throw new IllegalArgumentException("percent must be 0 to 100, but is " + percent);
        }
        double[] sorted = requireNorms();
        Arrays.sort(sorted);
        double place = percent / 100 * (sorted.length - 1);
        int below = (int) place;
        if (below == sorted.length - 1) return sorted[below];
        double share = place - below;
        return sorted[below] + share * (sorted[below + 1] - sorted[below]);
    }

    /**
     * The mean of the norms kept. This is the rule of Pascanu, Mikolov and Bengio 2013 (arXiv 1211.5063, section 3.2),
     * who found training to converge at thresholds from half to ten times the mean over many updates.
     * {@link #percentile} of all norms so far, computed before each step, is the rule of AutoClip (Seetharaman and
     * others 2020, arXiv 2007.14469).
     *
     * @throws IllegalStateException if there is no norm yet
     */
    public double suggestMaxNorm() {
        double[] all = requireNorms();
        double mean = 0;
        // Divided first, because the sum of large norms may overflow.
        for (double norm : all) mean += norm / all.length;
        return mean;
    }

    private double[] requireNorms() {
        double[] all = norms();
        if (all.length == 0) throw new IllegalStateException("no norm has been seen; clip by a norm first");
        return all;
    }

    @Override
    public String toString() {
        return "NormHistory[" + size() + " norms, " + nonFinite() + " non-finite]";
    }
}
