// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.reduce;

import java.util.Arrays;

/**
 * The segments of a plan, each with a norm of its own: one a tensor, or one a row of a tensor bound with rows. Those of
 * the parameters, where there are any, follow in the same order.
 */
public final class SegmentLayout {
    /** Each is 40 bytes or more of a table, which is less than 2 GiB. */
    public static final int MOST = Integer.MAX_VALUE / 40;

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

    /** Segments of gradients. */
    public int gradients() {
        return first[first.length - 1];
    }

    /** Segments of gradients and parameters. */
    public int all() {
        return weights ? 2 * gradients() : gradients();
    }

    public boolean hasWeights() {
        return weights;
    }

    /** The first segment of a tensor; of one past the last, where the gradients' end. */
    public int from(int tensor) {
        return first[tensor];
    }

    public int rows(int tensor) {
        return first[tensor + 1] - first[tensor];
    }

    /** Elements of each of a tensor's segments. */
    public long length(int tensor) {
        return lengths[tensor];
    }

    /** Returns true if each tensor is one segment. */
    public boolean areTensors() {
        return gradients() == lengths.length;
    }

    /** The tensor, or the parameter counted on from the last tensor, that a segment is of. */
    public int ownerOf(int segment) {
        boolean isWeights = segment >= gradients();
        int at = Arrays.binarySearch(first, isWeights ? segment - gradients() : segment);
        // Of tensors without a segment there is none.
        int tensor = at >= 0 ? at : -at - 2;
        return isWeights ? tensor + lengths.length : tensor;
    }
}
