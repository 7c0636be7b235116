// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.update;

import dev.gradclip.AdamUpdate;
import dev.gradclip.DType;
import dev.gradclip.SgdUpdate;
import dev.gradclip.Update;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * The numbers of one step, as {@code gradclip::UpdateNumbers} and {@code gradclip::SegmentUpdate} in
 * cuda/src/common/update.hpp lay them out: a head, then a row of numbers for each segment of gradients.
 */
public final class UpdateTable {
    /** Bytes of the head. */
    public static final int HEAD_BYTES = 64;

    /** Bytes of a segment's numbers. */
    public static final int SEGMENT_BYTES = 48;

    /** The flag of Nesterov's momentum. */
    public static final int NESTEROV = 1;

    /** The flag of decoupled weight decay. */
    public static final int DECOUPLED = 2;

    /** The flag of gradients that are set to 0. */
    public static final int ZERO_GRADIENTS = 4;

    /** The flag of 16-bit weights that have master weights. */
    public static final int MASTER_WEIGHTS = 8;

    private static final UpdateForm[] FORMS = UpdateForm.values();

    private final ByteBuffer memory;

    /** A table for so many segments of gradients. */
    public UpdateTable(int segments) {
        memory = ByteBuffer.allocateDirect(Math.addExact(HEAD_BYTES, Math.multiplyExact(segments, SEGMENT_BYTES)))
                .order(ByteOrder.nativeOrder());
    }

    /** The memory of the table. */
    public ByteBuffer memory() {
        return memory;
    }

    /** Writes the head. */
    public void setUpdate(Update update) {
        memory.putInt(0, UpdateForm.of(update).ordinal());
        int flags = update.zeroesGradients() ? ZERO_GRADIENTS : 0;
        if (update.masterWeights()) flags |= MASTER_WEIGHTS;
        memory.putDouble(8, update.learningRate());
        memory.putDouble(16, update.weightDecay());
        if (update instanceof SgdUpdate sgd) {
            if (sgd.nesterov()) flags |= NESTEROV;
            memory.putDouble(24, sgd.momentum());
            memory.putDouble(32, sgd.dampening());
        } else if (update instanceof AdamUpdate adam) {
            if (adam.decoupled()) flags |= DECOUPLED;
            memory.putDouble(40, adam.beta1());
            memory.putDouble(48, adam.beta2());
            memory.putDouble(56, adam.epsilon());
        }
        memory.putInt(4, flags);
    }

    /** The form of the update. */
    UpdateForm form() {
        return FORMS[memory.getInt(0)];
    }

    /** True if gradients are set to 0. */
    public boolean zeroesGradients() {
        return has(ZERO_GRADIENTS);
    }

    boolean has(int flag) {
        return (memory.getInt(4) & flag) != 0;
    }

    double learningRate() {
        return memory.getDouble(8);
    }

    double weightDecay() {
        return memory.getDouble(16);
    }

    double momentum() {
        return memory.getDouble(24);
    }

    double dampening() {
        return memory.getDouble(32);
    }

    double beta1() {
        return memory.getDouble(40);
    }

    double beta2() {
        return memory.getDouble(48);
    }

    double epsilon() {
        return memory.getDouble(56);
    }

    private static int at(int segment) {
        return HEAD_BYTES + segment * SEGMENT_BYTES;
    }

    /** Writes what clipping makes of a segment's gradients: multiplied, then clamped. */
    public void setClip(int segment, double coefficient, double min, double max, DType arithmetic) {
        memory.putDouble(at(segment), coefficient);
        memory.putDouble(at(segment) + 8, limit(min, arithmetic));
        memory.putDouble(at(segment) + 16, limit(max, arithmetic));
    }

    /** A finite limit beyond the largest float is that float. */
    private static double limit(double limit, DType arithmetic) {
        if (arithmetic == DType.FLOAT64 || Double.isInfinite(limit)) return limit;
        return Math.max(-Float.MAX_VALUE, Math.min(limit, Float.MAX_VALUE));
    }

    /** Writes the numbers that follow from a tensor's steps. */
    public void setProgress(int segment, double stepSize, double rootCorrection2, boolean first) {
        memory.putDouble(at(segment) + 24, stepSize);
        memory.putDouble(at(segment) + 32, rootCorrection2);
        memory.putDouble(at(segment) + 40, first ? 1 : 0);
    }

    double coefficient(int segment) {
        return memory.getDouble(at(segment));
    }

    double min(int segment) {
        return memory.getDouble(at(segment) + 8);
    }

    double max(int segment) {
        return memory.getDouble(at(segment) + 16);
    }

    double stepSize(int segment) {
        return memory.getDouble(at(segment) + 24);
    }

    double rootCorrection2(int segment) {
        return memory.getDouble(at(segment) + 32);
    }

    /** True if a segment's tensor has had no step. */
    public boolean first(int segment) {
        return memory.getDouble(at(segment) + 40) != 0;
    }
}
