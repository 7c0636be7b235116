// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import dev.gradclip.measure.Shape;
import java.nio.Buffer;

/**
 * Something that clips gradients in memory of its own kind: this library, or a peer on the class path that names
 * itself in {@code META-INF/services}. Everything is done the best way that its users have.
 */
public interface Contender extends AutoCloseable {
    /** The name in tables. */
    String name();

    /**
     * Makes gradients of a shape.
     *
     * @throws UnsupportedOperationException if it is not made for a type
     */
    void bind(Shape shape);

    /** The buffer that a gradient is written to before each call: floats, or shorts for the bits of 16-bit types. */
    Buffer gradient(int tensor);

    /** The buffer where the gradient is found afterwards. */
    default Buffer clipped(int tensor) {
        return gradient(tensor);
    }

    /** The L2 norm over all. */
    double globalNorm();

    /** Returns true if squares are added up in double, so that the norm is right to a float's precision. */
    default boolean isExact() {
        return false;
    }

    /**
     * Scales by {@code min(1, maxNorm / norm)}, up to an epsilon; returns the norm, or NaN if its users never see it.
     */
    double clipByGlobalNorm(double maxNorm);

    /**
     * Scales each by {@code min(1, maxNorm / its own norm)}, up to an epsilon.
     *
     * @throws UnsupportedOperationException if it is not made for that
     */
    default void clipPerTensorNorm(double maxNorm) {
        throw new UnsupportedOperationException(name() + " does not clip each tensor by its own norm here");
    }

    /** Clamps to {@code [-limit, limit]}. */
    void clipByValue(double limit);

    /** The file name of the native library whose OpenMP threads it uses, or nothing. */
    default String openMpLibrary() {
        return "";
    }

    @Override
    void close();
}
