// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import java.nio.FloatBuffer;

/**
 * Something that clips FLOAT32 gradients in memory of its own kind: this library, or a peer on the class path that names
 * itself in {@code META-INF/services}. Everything is done the best way that its users have.
 */
public interface Contender extends AutoCloseable {
    /** What tables call it. */
    String name();

    /** Makes gradients of these lengths. */
    void bind(int[] lengths);

    /** Where a gradient is written before each call. */
    FloatBuffer gradient(int tensor);

    /** Where it is found afterwards. */
    default FloatBuffer clipped(int tensor) {
        return gradient(tensor);
    }

    /** The L2 norm over all. */
    double globalNorm();

    /** Whether squares are added up in double, so that the norm is right to a float's precision. */
    default boolean isExact() {
        return false;
    }

    /** Scales by {@code min(1, maxNorm / norm)}, up to an epsilon; returns the norm, or NaN if its users never see it. */
    double clipByGlobalNorm(double maxNorm);

    /** Clamps to {@code [-limit, limit]}. */
    void clipByValue(double limit);

    /** The file name of the native library whose OpenMP threads it uses, or nothing. */
    default String openMpLibrary() {
        return "";
    }

    @Override
    void close();
}
