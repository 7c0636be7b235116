// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.stream;

import dev.gradclip.NormType;
import dev.gradclip.internal.memory.Piece;
import dev.gradclip.internal.reduce.TensorSums;

/** Measures and changes pieces in host memory one at a time, on the CPU or on a device. */
public interface PieceKernels extends AutoCloseable {
    /** Measures the next piece of a tensor and adds the result to the tensor's sums. */
    void measure(Piece piece, NormType type, TensorSums sums);

    void scale(Piece piece, double coefficient);

    /** Clamps a piece; returns how many elements changed. */
    long clamp(Piece piece, double min, double max);

    /** Sets NaN and infinities to 0; returns how many elements changed. */
    long zeroNonFinite(Piece piece);

    @Override
    void close();
}
