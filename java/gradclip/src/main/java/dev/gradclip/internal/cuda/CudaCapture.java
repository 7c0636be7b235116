// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.cuda;

/** A clip of a plan that is part of a graph, and where each replay leaves its result. */
public final class CudaCapture {
    private final CudaPlan plan;
    private final int number;
    private final CudaResults slot;

    /** Results that an earlier captured clip left in the slot. */
    private final long before;

    private boolean closed;

    CudaCapture(CudaPlan plan, int number, CudaResults slot) {
        this.plan = plan;
        this.number = number;
        this.slot = slot;
        before = slot.latest();
    }

    /** Gives it a rule's numbers, for replays that the stream is given from here on. */
    public void setRule(long stream, CudaRule rule) {
        synchronized (plan) {
            requireOpen();
            plan.setNumbers(stream, number, rule);
        }
    }

    /** The result of the latest replay, by {@link CudaResults#latest}; it is read while the plan's monitor is held. */
    public CudaResults slot() {
        if (!Thread.holdsLock(plan)) throw new IllegalMonitorStateException("hold the plan while results are read");
        requireOpen();
        plan.requireUsable();
        return slot;
    }

    /** Results so far. */
    public long replays() {
        synchronized (plan) {
            return slot().latest() - before;
        }
    }

    private void requireOpen() {
        if (closed) throw new IllegalStateException("the captured clip is closed");
    }

    /** Closing again does nothing. */
    public void close() {
        synchronized (plan) {
            if (closed) return;
            closed = true;
            plan.closeCapture(number);
        }
    }
}
