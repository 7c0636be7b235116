// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.inspect;

import dev.gradclip.DType;
import dev.gradclip.measure.Half;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.nio.ShortBuffer;
import org.jspecify.annotations.Nullable;

/** Counts what a norm hides: mean, zeros, NaNs and infinities. */
final class ElementStats {
    /** A block this small is summed as well by four plain lanes as by a corrected sum. */
    static final int BLOCK = 1024;

    /** Finite doubles from here on are summed scaled down, or their sum would overflow where their mean does not. */
    private static final double HUGE = 0x1p900;

    private static final double DOWN = 0x1p-200;

    private final double[] block;
    private final @Nullable Magnitudes magnitudes;
    private final CompensatedSum sum = new CompensatedSum();
    private final CompensatedSum hugeSum = new CompensatedSum();
    private long elements;
    private long zeros;
    private long nan;
    private long positiveInf;
    private long negativeInf;

    /**
     * Starts with no element.
     *
     * @param scratch {@link #BLOCK} doubles to work in, which any number of these may share: a file may hold a million
     *     tensors
     */
    ElementStats(double[] scratch) {
        this(scratch, null);
    }

    /** @param into counts all elements by magnitude, too, or null */
    ElementStats(double[] scratch, @Nullable Magnitudes into) {
        block = scratch;
        magnitudes = into;
    }

    /** Adds a piece of a tensor: the buffer from position to limit, which are left as they are. */
    void add(ByteBuffer piece, DType dtype) {
        int all = piece.remaining() / dtype.bytes();
        for (int at = 0; at < all; at += BLOCK) {
            int count = Math.min(BLOCK, all - at);
            fill(piece, dtype, at, count);
            addBlock(count);
            if (magnitudes != null) magnitudes.add(block, count);
        }
    }

    private void fill(ByteBuffer piece, DType dtype, int at, int count) {
        switch (dtype) {
            case FLOAT64 -> piece.asDoubleBuffer().get(at, block, 0, count);
            case FLOAT32 -> {
                FloatBuffer values = piece.asFloatBuffer();
                for (int i = 0; i < count; i++) block[i] = values.get(at + i);
            }
            case FLOAT16 -> {
                ShortBuffer values = piece.asShortBuffer();
                for (int i = 0; i < count; i++) block[i] = Half.float16(values.get(at + i));
            }
            case BFLOAT16 -> {
                ShortBuffer values = piece.asShortBuffer();
                for (int i = 0; i < count; i++) block[i] = Half.bfloat16(values.get(at + i));
            }
        }
    }

    /** Adds another tensor's counts, for a total. */
    void add(ElementStats other) {
        elements += other.elements;
        zeros += other.zeros;
        nan += other.nan;
        positiveInf += other.positiveInf;
        negativeInf += other.negativeInf;
        sum.add(other.sum.value());
        hugeSum.add(other.hugeSum.value());
    }

    private void addBlock(int count) {
        elements += count;
        double s0 = 0;
        double s1 = 0;
        double s2 = 0;
        double s3 = 0;
        int zero = 0;
        for (int i = 0; i < count; i++) if (block[i] == 0) zero++;
        int i = 0;
        for (; i + 3 < count; i += 4) {
            s0 += block[i];
            s1 += block[i + 1];
            s2 += block[i + 2];
            s3 += block[i + 3];
        }
        for (; i < count; i++) s0 += block[i];
        zeros += zero;
        double total = (s0 + s1) + (s2 + s3);
        // A NaN or an infinity never leaves a sum, so an ordinary total means ordinary elements.
        if (Math.abs(total) < HUGE) sum.add(total);
        else addOneByOne(count);
    }

    private void addOneByOne(int count) {
        for (int i = 0; i < count; i++) {
            double x = block[i];
            if (Double.isNaN(x)) nan++;
            else if (x == Double.POSITIVE_INFINITY) positiveInf++;
            else if (x == Double.NEGATIVE_INFINITY) negativeInf++;
            else if (Math.abs(x) < HUGE) sum.add(x);
            else hugeSum.add(x * DOWN);
        }
    }

    long elements() {
        return elements;
    }

    /** Returns the mean of all elements; NaN for none, as for any NaN among them. */
    double mean() {
        if (elements == 0 || nan > 0 || (positiveInf > 0 && negativeInf > 0)) return Double.NaN;
        if (positiveInf > 0) return Double.POSITIVE_INFINITY;
        if (negativeInf > 0) return Double.NEGATIVE_INFINITY;
        return sum.value() / elements + hugeSum.value() / elements / DOWN;
    }

    /** Returns the share of elements that are 0 or -0; NaN for none. */
    double zeroShare() {
        return elements == 0 ? Double.NaN : (double) zeros / elements;
    }

    long nan() {
        return nan;
    }

    long infinite() {
        return positiveInf + negativeInf;
    }
}
