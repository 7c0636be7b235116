// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.reduce;

import java.nio.DoubleBuffer;

/** Adds up the sums of one tensor's pieces as they come. */
public final class TensorSums {
    private final Fold low = new Fold();
    private final Fold middle = new Fold();
    private final Fold high = new Fold();
    private double maximum;
    private double power;

    /** Adds the next tiles' partials: the middle plane, then, if {@code planes} is 3, the low and the high one. */
    public void addPartials(DoubleBuffer partials, int tiles, int planes) {
        middle.addAll(partials, 0, tiles);
        if (planes == 1) return;
        low.addAll(partials, tiles, 2 * tiles);
        high.addAll(partials, 2 * tiles, 3 * tiles);
    }

    /** Adds the sums of the tensor's next part, of which {@code sums[at]} is the first. */
    public void addCut(NormKind kind, double p, Cut cut, SegmentSums sums, int at) {
        switch (kind) {
            case INF -> addMaximum(sums.middle[at]);
            case POWER -> addPower(p, sums.maximum[at], sums.middle[at]);
            case L1, L2 -> {
                cut.addTo(low, sums.low, at);
                cut.addTo(middle, sums.middle, at);
                cut.addTo(high, sums.high, at);
            }
        }
    }

    public void addMaximum(double found) {
        maximum = Math.max(maximum, found);
    }

    /** Adds the sum of {@code (|x| / max)^p} of a piece whose largest element is {@code max}. */
    public void addPower(double p, double max, double sum) {
        if (max == 0) return;
        if (!(max <= maximum)) {
            power = (maximum == 0 ? 0 : power * Math.pow(maximum / max, p)) + sum;
            maximum = Math.max(maximum, max);
        } else {
            power += sum * Math.pow(max / maximum, p);
        }
    }

    /** Writes the tensor's sums to its place in {@code to} and starts the next tensor. */
    public void finish(NormKind kind, SegmentSums to, int tensor) {
        to.low[tensor] = low.finish();
        to.high[tensor] = high.finish();
        double sum = middle.finish();
        to.middle[tensor] = switch (kind) {
            case L1, L2 -> sum;
            case INF -> maximum;
            case POWER -> power;
        };
        to.maximum[tensor] = maximum;
        maximum = 0;
        power = 0;
    }
}
