// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.bench;

import dev.gradclip.DType;
import dev.gradclip.measure.MemoryBudget;
import dev.gradclip.measure.Shape;
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

    static BenchPlan of(double seconds) {
        return of(seconds, MemoryBudget.memory(), Runtime.getRuntime().maxMemory());
    }

    /**
     * Chooses the sizes that fit.
     *
     * @param memory that may be used
     * @param heap of this JVM
     */
    static BenchPlan of(double seconds, long memory, long heap) {
        List<Shape> shapes = new ArrayList<>();
        List<LeftOut> leftOut = new ArrayList<>();
        for (Shape shape : ALL) {
            if (2 * shape.bytes() > memory) {
                leftOut.add(new LeftOut(
                        shape,
                        "needs " + mebibytes(2 * shape.bytes()) + " of the " + mebibytes(memory)
                                + " that may be used, a quarter of the machine's memory"));
            } else if (4 * shape.bytes() > heap) {
                leftOut.add(new LeftOut(
                        shape,
                        "needs a Java heap of " + mebibytes(4 * shape.bytes()) + ": GRADCLIP_JAVA_OPTS=-Xmx512m"));
            } else if (!shapes.isEmpty() && shape.bytes() > seconds * BYTES_A_SECOND) {
                double enough = Math.ceil((double) shape.bytes() / BYTES_A_SECOND);
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
