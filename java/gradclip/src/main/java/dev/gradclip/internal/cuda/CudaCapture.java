// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.cuda;

import dev.gradclip.Update;

/** A clip or a step of a plan that is part of a CUDA graph. Each replay of the graph leaves its result in {@link #slot}. */
public final class CudaCapture {
    private final CudaPlan plan;
    private final int number;
    private final CudaResults slot;

    /** The name of what was captured, in messages. */
    private final String what;

    /** The number of results that earlier captures left in the slot. */
    private final long before;

    private boolean closed;

    CudaCapture(CudaPlan plan, int number, CudaResults slot, String what) {
        this.plan = plan;
        this.number = number;
        this.slot = slot;
        this.what = what;
        before = slot.latest();
    }

    /** Replaces the rule's numbers, for replays enqueued on the stream from here on. */
    public void setRule(long stream, CudaRule rule) {
        synchronized (plan) {
            requireOpen();
            plan.setNumbers(stream, number, rule);
        }
    }

    /** Replaces the update's numbers, for replays enqueued on the stream from here on. */
    public void setUpdate(long stream, CudaUpdateState state, Update update) {
        synchronized (plan) {
            requireOpen();
            plan.setUpdate(stream, number, state, update);
        }
    }

    /** The name of what was captured: a clip or a step. */
    public String what() {
        return what;
    }

    /** The slot of the latest replay's result, to be read while the plan's monitor is held. */
    public CudaResults slot() {
        if (!Thread.holdsLock(plan)) throw new IllegalMonitorStateException("hold the plan while results are read");
        requireOpen();
        plan.requireUsable();
        return slot;
    }

    /** The number of replays that have left a result. */
    public long replays() {
        synchronized (plan) {
            return slot().latest() - before;
        }
    }

    private void requireOpen() {
        if (closed) throw new IllegalStateException("the captured " + what + " is closed");
    }

    /** Frees the number for another capture; closing again does nothing. */
    public void close() {
        synchronized (plan) {
            if (closed) return;
            closed = true;
            plan.closeCapture(number);
        }
    }
}
