// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import dev.gradclip.Backend;
import dev.gradclip.DType;
import dev.gradclip.cli.measure.Elements;
import dev.gradclip.cli.measure.GradientSet;
import dev.gradclip.cli.measure.Shape;
import java.nio.Buffer;
import java.util.Arrays;

/** What every contender is given before each call, the norms of it, and whether what came of it is right. */
final class Gradients {
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

    Gradients(Shape shape) {
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
        leastNorm = Arrays.stream(norms).min().orElse(Double.POSITIVE_INFINITY);
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

    /** Of one tensor. */
    double norm(int tensor) {
        return norms[tensor];
    }

    /** Of the tensor that has the least; infinite where there is none. */
    double leastNorm() {
        return leastNorm;
    }

    void writeTo(Contender contender) {
        for (int i = 0; i < tensors.length; i++) Elements.copy(tensors[i], contender.gradient(i));
    }

    /** What is wrong with what a contender made of them, or nothing. */
    String fault(Contender contender, DuelCase what, double found) {
        double normTolerance = contender.isExact() ? TOLERANCE : TOLERANCE_OF_PEERS_NORMS;
        if (!Double.isNaN(found) && !isClose(found, norm, normTolerance, 0)) {
            return "norm " + found + " instead of " + norm;
        }
        for (int i = 0; i < tensors.length; i++) {
            DType dtype = dtype(i);
            double tolerance = (what.needsNorm() ? normTolerance : TOLERANCE) + (what.changes() ? lastPlace(dtype) : 0);
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

    /** By how much the neighbour of a 16-bit number is larger; the tolerance covers that of longer ones. */
    private static double lastPlace(DType dtype) {
        return switch (dtype) {
            case BFLOAT16 -> 0x1p-7;
            case FLOAT16 -> 0x1p-10;
            case FLOAT32, FLOAT64 -> 0;
        };
    }

    /** False for NaN. */
    private static boolean isClose(double found, double expected, double tolerance, double absolute) {
        return Math.abs(found - expected) <= tolerance * Math.abs(expected) + absolute;
    }
}
