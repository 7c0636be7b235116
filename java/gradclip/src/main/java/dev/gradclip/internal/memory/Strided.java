// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.memory;

/**
 * Where the elements of a unit lie if they are not all side by side: in blocks of {@code inner} elements, of which each
 * begins {@code stride} elements after the one before. Element {@code e} lies at {@link #index index(e)}.
 *
 * @param inner the number of elements of a block
 * @param stride the distance between the beginnings of two blocks, in elements
 */
public record Strided(long inner, long stride) {

    /** The distance of an element from the unit's first one, in elements. */
    public long index(long element) {
        return element / inner * stride + element % inner;
    }

    /** The number of elements from the first one to the last one of {@code count}, with those of other units. */
    public long span(long count) {
        return count == 0 ? 0 : index(count - 1) + 1;
    }
}
