// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.cuda;

import dev.gradclip.internal.jni.NativeCuda;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * Results that the device writes into mapped host memory: those of a CUDA plan's last 256 calls, or the latest one of a
 * captured clip. The result of a call is in slot {@code call mod size}. The device writes the call's number into one
 * field before the figures and into another after them. Figures are valid if {@link #holds} is true before they are
 * read and {@link #kept} is true afterwards.
 */
public final class CudaResults {
    /** The number of calls whose results are kept. */
    static final int SIZE = 256;

    private static final int SLOT_BYTES = 64;
    private static final int TOTAL_NORM = 8;
    private static final int COEFFICIENT = 16;
    private static final int CHANGED = 24;
    private static final int FLAGS = 32;
    private static final int SEGMENT = 36;
    private static final int SEGMENT_NORM = 40;
    private static final int BEGUN = 48;
    private static final int CLIPPED_NORM = 56;
    private static final int CLIPPED = 1;
    private static final int NON_FINITE = 2;
    private static final int REFUSED = 4;
    private static final int SKIPPED = 8;
    private static final int HAS_THRESHOLD = 16;
    private static final VarHandle CALL = MethodHandles.byteBufferViewVarHandle(long[].class, ByteOrder.nativeOrder());

    private final ByteBuffer slots;
    private final int size;

    /** Stands for results that are gone: its only slot has a number above every call's. */
    static final CudaResults NONE = new CudaResults(
            ByteBuffer.allocateDirect(SLOT_BYTES).order(ByteOrder.nativeOrder()).putLong(0, Long.MAX_VALUE));

    private CudaResults(ByteBuffer slots) {
        this.slots = slots.order(ByteOrder.nativeOrder());
        size = slots.capacity() / SLOT_BYTES;
    }

    static CudaResults at(long address, int size) {
        return new CudaResults(NativeCuda.view(address, (long) size * SLOT_BYTES));
    }

    /** Copies the results into memory that stays valid after the device's is freed. */
    CudaResults copy() {
        return new CudaResults(ByteBuffer.allocateDirect(slots.capacity()).put(slots.duplicate()));
    }

    private int offset(long call, int field) {
        return (int) (call % size) * SLOT_BYTES + field;
    }

    /** The call in the slot of a ring of one; 0 before the first result. */
    public long latest() {
        VarHandle.acquireFence();
        return (long) CALL.getAcquire(slots, 0);
    }

    /**
     * Returns true if the call's figures can be read, or false if the device has not written them yet.
     *
     * @throws IllegalStateException if a later call has overwritten them
     */
    public boolean holds(long call) {
        VarHandle.acquireFence();
        long found = (long) CALL.getAcquire(slots, offset(call, 0));
        if (found > call) throw gone();
        return found == call;
    }

    /** Returns true if no later call has begun to overwrite the call's figures. */
    public boolean kept(long call) {
        VarHandle.acquireFence();
        return (long) CALL.getAcquire(slots, offset(call, BEGUN)) == call;
    }

    /** Makes the exception for a call whose figures a later call has overwritten. */
    public static IllegalStateException gone() {
        return new IllegalStateException("the result is gone: the clipper keeps those of its last " + SIZE
                + " calls; read a result before as many more");
    }

    public double globalNorm(long call) {
        return slots.getDouble(offset(call, TOTAL_NORM));
    }

    /** The factor of every gradient. */
    public double coefficient(long call) {
        return slots.getDouble(offset(call, COEFFICIENT));
    }

    /** The norm over all gradients after clipping; NaN if gradients have different factors. */
    public double clippedNorm(long call) {
        return slots.getDouble(offset(call, CLIPPED_NORM));
    }

    /** The number of elements that a value rule changed. */
    public long changed(long call) {
        return slots.getLong(offset(call, CHANGED));
    }

    /** Returns true if gradients were changed. */
    public boolean clipped(long call) {
        return (flags(call) & CLIPPED) != 0;
    }

    public boolean nonFinite(long call) {
        return (flags(call) & NON_FINITE) != 0;
    }

    /** Returns true if the policy SKIP or a history left every gradient as it is. */
    public boolean skipped(long call) {
        return (flags(call) & SKIPPED) != 0;
    }

    /** The threshold that a history had for all gradients; NaN where there is none, or a gradient is not finite. */
    public double threshold(long call) {
        return (flags(call) & HAS_THRESHOLD) != 0 ? slots.getDouble(offset(call, SEGMENT_NORM)) : Double.NaN;
    }

    /** Returns true if the policy ERROR refused the clip, because {@link #segment} is not finite. */
    public boolean refused(long call) {
        return (flags(call) & REFUSED) != 0;
    }

    /** The first segment that is not finite, or -1. */
    public int segment(long call) {
        return slots.getInt(offset(call, SEGMENT));
    }

    /** The norm of {@link #segment}. */
    public double segmentNorm(long call) {
        return slots.getDouble(offset(call, SEGMENT_NORM));
    }

    private int flags(long call) {
        return slots.getInt(offset(call, FLAGS));
    }
}
