// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.safetensors;

import java.util.List;

/**
 * One tensor as its header describes it.
 *
 * @param name its key in the header
 * @param type element type
 * @param shape dimensions, empty for a scalar
 * @param begin first byte, counted from the end of the header
 * @param end one past its last byte
 */
public record TensorEntry(String name, ElementType type, List<Long> shape, long begin, long end) {
    public long bytes() {
        return end - begin;
    }

    /** Returns the number of elements, for a layout that was checked. */
    public long elements() {
        long product = 1;
        for (long dimension : shape) product *= dimension;
        return product;
    }
}
