// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import dev.gradclip.DType;
import dev.gradclip.measure.Shape;

/** A contender that has FLOAT32 gradients only. */
public interface FloatContender extends Contender {
    /** Makes gradients of these lengths. */
    void bind(int[] lengths);

    @Override
    default void bind(Shape shape) {
        if (!shape.is(DType.FLOAT32)) {
            throw new UnsupportedOperationException(
                    name() + " has FLOAT32 gradients only here, not the " + shape.type() + " of " + shape.name());
        }
        bind(shape.tensors().stream()
                .mapToInt(tensor -> Math.toIntExact(tensor.length()))
                .toArray());
    }
}
