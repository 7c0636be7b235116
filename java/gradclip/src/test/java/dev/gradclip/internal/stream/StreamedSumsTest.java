// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.stream;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.DType;
import dev.gradclip.NormType;
import dev.gradclip.internal.memory.Piece;
import dev.gradclip.internal.reduce.TensorSums;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/** Sums of pieces when one of the pieces could not be measured. */
class StreamedSumsTest {
    /** Kernels that throw on demand, after they have added a part. */
    private static final class Faulty implements PieceKernels {
        @Nullable
        Error fault;

        @Override
        public void measure(Piece piece, NormType type, TensorSums sums) {
            sums.addMaximum((double) piece.length());
            if (fault != null) throw fault;
        }

        @Override
        public void scale(Piece piece, double coefficient) {}

        @Override
        public long clamp(Piece piece, double min, double max) {
            return 0;
        }

        @Override
        public long zeroNonFinite(Piece piece) {
            return 0;
        }

        @Override
        public void close() {}
    }

    @Test
    void nothingIsToBeHadOnceAPieceFailed() {
        Faulty work = new Faulty();
        List<Piece> piece = List.of(Piece.ofArray(DType.FLOAT32, new float[2048], 0, 2048));
        try (StreamedSums sums = new StreamedSums(NormType.INF, work)) {
            sums.add(piece);
            sums.endTensor();
            assertEquals(2048, sums.total().value());
            work.fault = new OutOfMemoryError("in the middle");
            assertSame(work.fault, assertThrows(OutOfMemoryError.class, () -> sums.add(piece)));
            work.fault = null;
            for (Runnable call : List.<Runnable>of(() -> sums.add(piece), sums::endTensor, sums::total)) {
                String message =
                        assertThrows(IllegalStateException.class, call::run).getMessage();
                assertTrue(String.valueOf(message).contains("begin anew"), message);
            }
        }
    }
}
