// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.reduce;

import java.util.Arrays;

/**
 * The segments of a plan, each with a norm of its own: a tensor is one segment, or one for each of its rows or units if
 * it is bound with such. The segments of the weights, if there are any, follow in the same order.
 */
public final class SegmentLayout {
    /** The largest number of segments: each takes at least 56 bytes of a table of less than 2 GiB. */
    public static final int MOST = Integer.MAX_VALUE / 56;

    private final int[] first;
    private final long[] lengths;
    private final boolean weights;

    public SegmentLayout(int[] rows, long[] tensorLengths, boolean weights) {
        first = new int[rows.length + 1];
        lengths = new long[rows.length];
        for (int i = 0; i < rows.length; i++) {
            first[i + 1] = Math.addExact(first[i], rows[i]);
            lengths[i] = tensorLengths[i] / rows[i];
        }
        this.weights = weights;
        if (weights) Math.multiplyExact(2, gradients());
    }

    /** The number of segments of gradients. */
    public int gradients() {
        return first[first.length - 1];
    }

    /** The number of segments of gradients and weights. */
    public int all() {
        return weights ? 2 * gradients() : gradients();
    }

    public boolean hasWeights() {
        return weights;
    }

    /** The first segment of a tensor; for the index after the last tensor, the number of segments of gradients. */
    public int from(int tensor) {
        return first[tensor];
    }

    public int rows(int tensor) {
        return first[tensor + 1] - first[tensor];
    }

    /** The number of elements of each of a tensor's segments. */
    public long length(int tensor) {
        return lengths[tensor];
    }

    /** Returns true if each tensor is one segment. */
    public boolean areTensors() {
        return gradients() == lengths.length;
    }

    /** The tensor that a segment belongs to; for a segment of weights, its index plus the number of tensors. */
    public int ownerOf(int segment) {
        boolean isWeights = segment >= gradients();
        int at = Arrays.binarySearch(first, isWeights ? segment - gradients() : segment);
        // Every tensor has a segment, so the starts are distinct.
        int tensor = at >= 0 ? at : -at - 2;
        return isWeights ? tensor + lengths.length : tensor;
    }
}
