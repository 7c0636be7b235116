// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.inspect;

import dev.gradclip.Backend;
import dev.gradclip.DType;
import dev.gradclip.HostBuffer;
import dev.gradclip.NormType;
import dev.gradclip.StreamingNorm;
import dev.gradclip.cli.safetensors.TensorEntry;
import dev.gradclip.cli.safetensors.TensorFiles;
import dev.gradclip.cli.shell.Progress;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Measures the floating-point tensors of some files in one read of them. */
final class FileInspection implements AutoCloseable {
    /**
     * The three norms and the counts of one tensor, or of all.
     *
     * @param l1 sum of absolute values
     * @param l2 Euclidean norm
     * @param max largest absolute value
     * @param counts the rest
     */
    record Measures(double l1, double l2, double max, ElementStats counts) {}

    /**
     * A tensor and its measures.
     *
     * @param entry as the header has it
     * @param measures null where it is not clipped
     */
    record Inspected(TensorEntry entry, @Nullable Measures measures) {}

    private final StreamingNorm l1;
    private final StreamingNorm l2;
    private final StreamingNorm max;
    private final double[] scratch = new double[ElementStats.BLOCK];
    private final @Nullable Magnitudes magnitudes;
    private final ElementStats all = new ElementStats(scratch);
    private final List<Inspected> tensors = new ArrayList<>();

    /** @param into counts all elements by magnitude, too, or null */
    FileInspection(Backend backend, @Nullable Magnitudes into) {
        magnitudes = into;
        l1 = StreamingNorm.of(NormType.L1, backend, 0);
        l2 = StreamingNorm.of(NormType.L2, backend, 0);
        max = StreamingNorm.of(NormType.INF, backend, 0);
    }

    void run(TensorFiles files, List<TensorEntry> chosen, Progress progress) throws IOException {
        for (TensorEntry entry : chosen) {
            DType dtype = entry.type().dtype();
            tensors.add(new Inspected(entry, dtype == null ? null : measure(files, entry, dtype, progress)));
            if (dtype == null) progress.advance(entry.bytes());
        }
        files.requireUnchanged();
    }

    private Measures measure(TensorFiles files, TensorEntry entry, DType dtype, Progress progress) throws IOException {
        ElementStats counts = new ElementStats(scratch, magnitudes);
        files.forEachPiece(entry, 1, piece -> {
            HostBuffer buffer = HostBuffer.wrap(piece, dtype);
            l1.add(buffer);
            l2.add(buffer);
            max.add(buffer);
            counts.add(piece, dtype);
            progress.advance(piece.remaining());
        });
        all.add(counts);
        return new Measures(l1.endTensor(), l2.endTensor(), max.endTensor(), counts);
    }

    List<Inspected> tensors() {
        return tensors;
    }

    Measures total() {
        return new Measures(l1.norm(), l2.norm(), max.norm(), all);
    }

    @Override
    public void close() {
        l1.close();
        l2.close();
        max.close();
    }
}
