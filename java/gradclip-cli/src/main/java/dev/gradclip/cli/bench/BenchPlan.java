// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.bench;

import dev.gradclip.DType;
import dev.gradclip.Update;
import dev.gradclip.measure.MemoryBudget;
import dev.gradclip.measure.Shape;
import dev.gradclip.measure.UpdateWorkload;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * The sizes that a run measures, and those it leaves out.
 *
 * @param shapes those that fit, the smallest first
 * @param leftOut the others
 */
record BenchPlan(List<Shape> shapes, List<LeftOut> leftOut) {
    /** A size that is not measured, and why. */
    record LeftOut(Shape shape, String reason) {}

    private static final List<Shape> ALL = List.of(
            Shape.equal(DType.FLOAT32, 500, 1 << 10),
            Shape.equal(DType.FLOAT32, 1, 1 << 20),
            Shape.equal(DType.BFLOAT16, 1, 1 << 24),
            Shape.equal(DType.FLOAT32, 1, 1 << 24));

    /** Filling and a few passes of plain Java take about a second for so much. */
    private static final long BYTES_A_SECOND = 16 << 20;

    /** So many bytes are in no cache, and the machine's rates over more are no others. */
    private static final long MOST_FOR_RATES = 128 << 20;

    static BenchPlan of(double seconds, BenchUpdate update) {
        return of(seconds, update, MemoryBudget.memory(), Runtime.getRuntime().maxMemory());
    }

    /** Returns the bytes over which the machine's rates for an update are measured. */
    static long ratesBytes(Shape shape, Update update) {
        return Math.min(UpdateWorkload.footprint(shape, update), MOST_FOR_RATES) / Long.BYTES * Long.BYTES;
    }

    /**
     * Chooses the sizes that fit.
     *
     * @param update to measure, too
     * @param memory that may be used
     * @param heap of this JVM
     */
    static BenchPlan of(double seconds, BenchUpdate update, long memory, long heap) {
        List<Shape> shapes = new ArrayList<>();
        List<LeftOut> leftOut = new ArrayList<>();
        Update wanted = update.update();
        for (Shape shape : ALL) {
            long bound = wanted == null ? shape.bytes() : UpdateWorkload.footprint(shape, wanted);
            long rates = wanted == null ? shape.bytes() : ratesBytes(shape, wanted);
            // The buffers outside the heap may have as many bytes as the heap, and a size before may still be there.
            long neededHeap = wanted == null ? 4 * rates : Math.max(4 * rates, 2 * bound);
            if (bound + rates > memory) {
                leftOut.add(new LeftOut(
                        shape,
                        "needs " + mebibytes(bound + rates) + " of the " + mebibytes(memory)
                                + " that may be used, a quarter of the machine's memory"));
            } else if (neededHeap > heap) {
                leftOut.add(new LeftOut(
                        shape, "needs a Java heap of " + mebibytes(neededHeap) + ": GRADCLIP_JAVA_OPTS=-Xmx1g"));
            } else if (!shapes.isEmpty() && bound > seconds * BYTES_A_SECOND) {
                double enough = Math.ceil((double) bound / BYTES_A_SECOND);
                leftOut.add(new LeftOut(shape, String.format(Locale.ROOT, "needs --seconds %.0f", enough)));
            } else {
                shapes.add(shape);
            }
        }
        return new BenchPlan(shapes, leftOut);
    }

    private static String mebibytes(long bytes) {
        return (bytes >> 20) + " MiB";
    }
}
