// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import java.nio.FloatBuffer;

/** A peer that {@link Duel} finds on the tests' class path; it can be made to forget the last element. */
public final class TestPeer implements FloatContender {
    static volatile boolean forgets;
    static int clips;
    static int bites;

    private final LoopContender loop = new LoopContender();
    private int last;

    @Override
    public String name() {
        return "peer";
    }

    @Override
    public void bind(int[] lengths) {
        loop.bind(lengths);
        last = lengths.length - 1;
    }

    @Override
    public FloatBuffer gradient(int tensor) {
        return loop.gradient(tensor);
    }

    @Override
    public double globalNorm() {
        return loop.globalNorm();
    }

    @Override
    public double clipByGlobalNorm(double maxNorm) {
        FloatBuffer gradient = gradient(last);
        int end = gradient.capacity() - 1;
        float before = forgets ? gradient.get(end) : 0;
        double norm = loop.clipByGlobalNorm(maxNorm);
        if (forgets) gradient.put(end, before);
        clips++;
        if (norm > maxNorm) bites++;
        return norm;
    }

    @Override
    public void clipByValue(double limit) {
        loop.clipByValue(limit);
    }

    @Override
    public void close() {
        loop.close();
    }
}
