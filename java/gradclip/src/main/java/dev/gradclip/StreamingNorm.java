// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import dev.gradclip.internal.stream.StreamedSums;

/**
 * Measures the norm of gradients that pass through memory piece by piece, such as files, or tensors larger than memory.
 * The bits are those of one clipper that is bound to everything at once.
 *
 * <pre>{@code
 * try (StreamingNorm norm = StreamingNorm.of(NormType.L2, Backend.preferred(), 0)) {
 *     while (read(window)) norm.add(HostBuffer.wrap(window, DType.FLOAT32));
 *     double ofTensor = norm.endTensor();
 *     double ofAll = norm.norm();
 * }
 * }</pre>
 */
public final class StreamingNorm implements AutoCloseable {
    private final StreamedSums sums;

    private StreamingNorm(StreamedSums sums) {
        this.sums = sums;
    }

    /**
     * Starts a norm without tensors.
     *
     * @param threads the number of threads, or 0 for {@link Backend#defaultThreads}
     * @throws BackendUnavailableException if the backend can't run here
     */
    public static StreamingNorm of(NormType type, Backend backend, int threads) {
        return new StreamingNorm(new StreamedSums(type, backend.pieceKernels(threads)));
    }

    /**
     * Measures the next piece of the current tensor; each but its last is a multiple of 8 KiB.
     *
     * @throws IllegalArgumentException if the piece before was not such a multiple, or this one is of another type than
     *     the first
     */
    public void add(HostBuffer piece) {
        sums.add(piece.hostMemory.pieces());
    }

    /** Ends the current tensor and returns its norm, 0 if it had no piece; the next piece begins another. */
    public double endTensor() {
        int first = sums.segments();
        sums.endTensor();
        return sums.total(first, first + 1).value();
    }

    /** The norm over all tensors ended. */
    public double norm() {
        return sums.total().value();
    }

    @Override
    public void close() {
        sums.close();
    }
}
