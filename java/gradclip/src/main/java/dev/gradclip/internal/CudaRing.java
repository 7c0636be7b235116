// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * The results of a CUDA plan's last 256 calls, which the device itself writes into mapped host memory: slot {@code ticket mod
 * 256}, its ticket written last. Figures are right if {@link #holds} says so before they are read and again after.
 */
public final class CudaRing {
    private static final int SLOTS = 256;
    private static final int SLOT_BYTES = 64;
    private static final int TOTAL_NORM = 8;
    private static final int COEFFICIENT = 16;
    private static final int CHANGED = 24;
    private static final int FLAGS = 32;
    private static final int SEGMENT = 36;
    private static final int SEGMENT_NORM = 40;
    private static final int CLIPPED = 1;
    private static final int NON_FINITE = 2;
    private static final int REFUSED = 4;
    private static final VarHandle TICKET =
            MethodHandles.byteBufferViewVarHandle(long[].class, ByteOrder.nativeOrder());

    private final ByteBuffer slots;

    private CudaRing(ByteBuffer slots) {
        this.slots = slots.order(ByteOrder.nativeOrder());
    }

    static CudaRing at(long address) {
        return new CudaRing(NativeCuda.view(address, SLOTS * SLOT_BYTES));
    }

    /** The same in memory of its own, for when the device's is gone. */
    CudaRing copy() {
        return new CudaRing(ByteBuffer.allocateDirect(SLOTS * SLOT_BYTES).put(slots.duplicate()));
    }

    private static int at(long ticket, int field) {
        return (int) (ticket % SLOTS) * SLOT_BYTES + field;
    }

    /**
     * Whether the ticket's figures are there; false while they are still to come.
     *
     * @throws IllegalStateException if those of a later call have taken their place
     */
    public boolean holds(long ticket) {
        VarHandle.acquireFence();
        long found = (long) TICKET.getAcquire(slots, at(ticket, 0));
        if (found > ticket) {
            throw new IllegalStateException("the result is gone: the clipper keeps those of its last " + SLOTS
                    + " calls; read a result before as many more");
        }
        return found == ticket;
    }

    /** The norm over all. */
    public double totalNorm(long ticket) {
        return slots.getDouble(at(ticket, TOTAL_NORM));
    }

    /** What everything was multiplied by. */
    public double coefficient(long ticket) {
        return slots.getDouble(at(ticket, COEFFICIENT));
    }

    /** Elements that a value rule changed. */
    public long changed(long ticket) {
        return slots.getLong(at(ticket, CHANGED));
    }

    /** Whether gradients were changed. */
    public boolean clipped(long ticket) {
        return (flags(ticket) & CLIPPED) != 0;
    }

    /** Whether a NaN or an infinity was found. */
    public boolean nonFinite(long ticket) {
        return (flags(ticket) & NON_FINITE) != 0;
    }

    /** Whether nothing was touched, for the policy is ERROR and {@link #segment} is not finite. */
    public boolean refused(long ticket) {
        return (flags(ticket) & REFUSED) != 0;
    }

    /** The first segment that is not finite, or -1. */
    public int segment(long ticket) {
        return slots.getInt(at(ticket, SEGMENT));
    }

    /** Its norm. */
    public double segmentNorm(long ticket) {
        return slots.getDouble(at(ticket, SEGMENT_NORM));
    }

    private int flags(long ticket) {
        return slots.getInt(at(ticket, FLAGS));
    }
}
