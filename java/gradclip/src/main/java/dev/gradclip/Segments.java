// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import java.util.Arrays;

/**
 * The segments of a plan, each with a norm of its own: one a tensor, or one a row of a tensor bound with rows. Those of the
 * parameters, where there are any, follow in the same order.
 */
final class Segments {
    /** Each is 40 bytes or more of a table, which is less than 2 GiB. */
    static final int MOST = Integer.MAX_VALUE / 40;

    private final int[] first;
    private final long[] lengths;
    private final boolean parameters;

    Segments(int[] rows, long[] tensorLengths, boolean parameters) {
        first = new int[rows.length + 1];
        lengths = new long[rows.length];
        for (int i = 0; i < rows.length; i++) {
            first[i + 1] = Math.addExact(first[i], rows[i]);
            lengths[i] = tensorLengths[i] / rows[i];
        }
        this.parameters = parameters;
        if (parameters) Math.multiplyExact(2, gradients());
    }

    /** Segments of gradients. */
    int gradients() {
        return first[first.length - 1];
    }

    /** Segments of gradients and parameters. */
    int all() {
        return parameters ? 2 * gradients() : gradients();
    }

    boolean hasParameters() {
        return parameters;
    }

    /** The first segment of a tensor; of one past the last, where the gradients' end. */
    int from(int tensor) {
        return first[tensor];
    }

    int rows(int tensor) {
        return first[tensor + 1] - first[tensor];
    }

    /** Elements of each of a tensor's segments. */
    long length(int tensor) {
        return lengths[tensor];
    }

    /** Whether each tensor is one segment. */
    boolean areTensors() {
        return gradients() == lengths.length;
    }

    /** The tensor, or the parameter counted on from the last tensor, that a segment is of. */
    int ownerOf(int segment) {
        boolean parameter = segment >= gradients();
        int at = Arrays.binarySearch(first, parameter ? segment - gradients() : segment);
        // Of tensors without a segment there is none.
        int tensor = at >= 0 ? at : -at - 2;
        return parameter ? tensor + lengths.length : tensor;
    }
}
