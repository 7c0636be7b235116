// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import dev.gradclip.Backend;
import dev.gradclip.DType;
import dev.gradclip.measure.Elements;
import dev.gradclip.measure.GradientSet;
import dev.gradclip.measure.Shape;
import java.nio.Buffer;
import java.util.Arrays;

/** The gradients that every contender is given before each call, their norms, and a check of what came of them. */
final class Gradients {
    private static final long MOST_BYTES = 1 << 30;
    private static final double TOLERANCE = 1e-5;

    /** Peers add squares up in float: over 64 Mi of them LibTorch's norm was off by 0.4 %, ND4J's by 2.6 %. */
    private static final double TOLERANCE_OF_PEERS_NORMS = 5e-2;

    /** Below it FLOAT16 has fewer digits. */
    private static final double SMALLEST_FLOAT16 = 0x1p-24;

    private final Shape shape;
    private final Buffer[] tensors;
    private final double[] norms;
    private final double norm;
    private final double leastNorm;

    /**
     * Fills them.
     *
     * @throws IllegalArgumentException if a tensor has more than 1 GiB, which is more than one buffer
     */
    Gradients(Shape shape) {
        for (Shape.Tensor tensor : shape.tensors()) {
            if (tensor.bytes() > MOST_BYTES) {
                throw new IllegalArgumentException("a tensor of " + shape.name() + " has " + tensor.bytes()
                        + " bytes; 1 GiB at most is timed beside other libraries");
            }
        }
        this.shape = shape;
        GradientSet set = new GradientSet(shape, Backend.JAVA);
        set.ordinary();
        tensors = new Buffer[shape.tensors().size()];
        norms = new double[tensors.length];
        for (int i = 0; i < tensors.length; i++) {
            tensors[i] = set.memory(i);
            norms[i] = Math.sqrt(squares(tensors[i], dtype(i), 0, tensors[i].capacity()));
        }
        norm = Math.sqrt(Arrays.stream(norms).map(one -> one * one).sum());
        leastNorm = Arrays.stream(norms).filter(one -> one > 0).min().orElse(Double.POSITIVE_INFINITY);
    }

    private DType dtype(int tensor) {
        return shape.tensors().get(tensor).dtype();
    }

    /** In double and by halves, so that rounding does not add up. */
    private static double squares(Buffer tensor, DType dtype, int from, int to) {
        if (to - from > 4096) {
            int middle = (from + to) >>> 1;
            return squares(tensor, dtype, from, middle) + squares(tensor, dtype, middle, to);
        }
        double sum = 0;
        for (int i = from; i < to; i++) {
            double x = Elements.get(tensor, dtype, i);
            sum += x * x;
        }
        return sum;
    }

    /** Over all tensors. */
    double norm() {
        return norm;
    }

    /** The norm of one tensor. */
    double norm(int tensor) {
        return norms[tensor];
    }

    /** The norm of the tensor that has the least, empty ones apart; infinite where there is none. */
    double leastNorm() {
        return leastNorm;
    }

    void writeTo(Contender contender) {
        for (int i = 0; i < tensors.length; i++) Elements.copy(tensors[i], contender.gradient(i));
    }

    /** The fault in what a contender made of them, or nothing. */
    String fault(Contender contender, DuelCase what, double found) {
        double normTolerance = contender.isExact() ? TOLERANCE : TOLERANCE_OF_PEERS_NORMS;
        if (!Double.isNaN(found) && !isClose(found, norm, normTolerance, 0)) {
            return "norm " + found + " instead of " + norm;
        }
        for (int i = 0; i < tensors.length; i++) {
            DType dtype = dtype(i);
            double tolerance = (what.needsNorm() ? normTolerance : TOLERANCE) + rounding(what, dtype);
            double absolute = what.changes() && dtype == DType.FLOAT16 ? SMALLEST_FLOAT16 : 0;
            Buffer clipped = contender.clipped(i);
            for (int j = 0; j < tensors[i].capacity(); j++) {
                double expected = what.expected(Elements.get(tensors[i], dtype, j), this, i);
                double element = Elements.get(clipped, dtype, j);
                if (!isClose(element, expected, tolerance, absolute)) {
                    return "element " + j + " of tensor " + i + " is " + element + " instead of " + expected;
                }
            }
        }
        return "";
    }

    /**
     * The error that 16 bits add; the tolerance covers longer types. A scaling rounds twice, coefficient and product; a
     * clamp its limit.
     */
    private static double rounding(DuelCase what, DType dtype) {
        double lastPlace = dtype == DType.BFLOAT16 ? 0x1p-7 : dtype == DType.FLOAT16 ? 0x1p-10 : 0;
        return what == DuelCase.CLAMP ? lastPlace / 2 : what.changes() ? lastPlace : 0;
    }

    /** False for NaN. */
    private static boolean isClose(double found, double expected, double tolerance, double absolute) {
        return Math.abs(found - expected) <= tolerance * Math.abs(expected) + absolute;
    }
}
