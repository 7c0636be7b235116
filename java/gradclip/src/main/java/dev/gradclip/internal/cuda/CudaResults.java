// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.cuda;

import dev.gradclip.internal.jni.NativeCuda;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * Results that the device itself writes into mapped host memory, those of a CUDA plan's last 256 calls or the latest of
 * a captured clip: slot {@code ticket mod size}, the ticket written first in one place and last in another. Figures are
 * right if {@link #holds} says so before they are read and {@link #kept} after.
 */
public final class CudaResults {
    /** Calls whose results are kept. */
    static final int SIZE = 256;

    private static final int SLOT_BYTES = 64;
    private static final int TOTAL_NORM = 8;
    private static final int COEFFICIENT = 16;
    private static final int CHANGED = 24;
    private static final int FLAGS = 32;
    private static final int SEGMENT = 36;
    private static final int SEGMENT_NORM = 40;
    private static final int BEGUN = 48;
    private static final int CLIPPED = 1;
    private static final int NON_FINITE = 2;
    private static final int REFUSED = 4;
    private static final VarHandle TICKET =
            MethodHandles.byteBufferViewVarHandle(long[].class, ByteOrder.nativeOrder());

    private final ByteBuffer slots;
    private final int size;

    /** Holds no result any more: a slot with the latest of all tickets. */
    static final CudaResults NONE = new CudaResults(
            ByteBuffer.allocateDirect(SLOT_BYTES).order(ByteOrder.nativeOrder()).putLong(0, Long.MAX_VALUE));

    private CudaResults(ByteBuffer slots) {
        this.slots = slots.order(ByteOrder.nativeOrder());
        size = slots.capacity() / SLOT_BYTES;
    }

    static CudaResults at(long address, int size) {
        return new CudaResults(NativeCuda.view(address, (long) size * SLOT_BYTES));
    }

    /** A copy in memory of its own, for when the device's is gone. */
    CudaResults copy() {
        return new CudaResults(ByteBuffer.allocateDirect(slots.capacity()).put(slots.duplicate()));
    }

    private int offset(long ticket, int field) {
        return (int) (ticket % size) * SLOT_BYTES + field;
    }

    /** The ticket in the slot of a ring of one; 0 before there is any. */
    public long latest() {
        VarHandle.acquireFence();
        return (long) TICKET.getAcquire(slots, 0);
    }

    /**
     * Returns true if the ticket's figures are there; false while they are still to come.
     *
     * @throws IllegalStateException if those of a later call have taken their place
     */
    public boolean holds(long ticket) {
        VarHandle.acquireFence();
        long found = (long) TICKET.getAcquire(slots, offset(ticket, 0));
        if (found > ticket) throw gone();
        return found == ticket;
    }

    /** Returns true if no later call has begun to overwrite the ticket's figures. */
    public boolean kept(long ticket) {
        VarHandle.acquireFence();
        return (long) TICKET.getAcquire(slots, offset(ticket, BEGUN)) == ticket;
    }

    /** The exception where a later call's figures have taken the place of this call's. */
    public static IllegalStateException gone() {
        return new IllegalStateException("the result is gone: the clipper keeps those of its last " + SIZE
                + " calls; read a result before as many more");
    }

    /** The norm over all. */
    public double globalNorm(long ticket) {
        return slots.getDouble(offset(ticket, TOTAL_NORM));
    }

    /** The factor of every gradient. */
    public double coefficient(long ticket) {
        return slots.getDouble(offset(ticket, COEFFICIENT));
    }

    /** Elements that a value rule changed. */
    public long changed(long ticket) {
        return slots.getLong(offset(ticket, CHANGED));
    }

    /** Returns true if gradients were changed. */
    public boolean clipped(long ticket) {
        return (flags(ticket) & CLIPPED) != 0;
    }

    /** Returns true if a NaN or an infinity was found. */
    public boolean nonFinite(long ticket) {
        return (flags(ticket) & NON_FINITE) != 0;
    }

    /** Returns true if nothing was touched, for the policy is ERROR and {@link #segment} is not finite. */
    public boolean refused(long ticket) {
        return (flags(ticket) & REFUSED) != 0;
    }

    /** The first segment that is not finite, or -1. */
    public int segment(long ticket) {
        return slots.getInt(offset(ticket, SEGMENT));
    }

    /** Its norm. */
    public double segmentNorm(long ticket) {
        return slots.getDouble(offset(ticket, SEGMENT_NORM));
    }

    private int flags(long ticket) {
        return slots.getInt(offset(ticket, FLAGS));
    }
}
