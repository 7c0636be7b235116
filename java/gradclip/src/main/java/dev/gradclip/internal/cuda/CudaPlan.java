// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.cuda;

import dev.gradclip.CudaException;
import dev.gradclip.CudaFatalException;
import dev.gradclip.NormType;
import dev.gradclip.internal.jni.NativeCuda;
import dev.gradclip.internal.jni.UnboundPieceException;
import dev.gradclip.internal.reduce.NormKind;
import dev.gradclip.internal.reduce.TensorSums;
import java.lang.ref.Reference;
import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;

/**
 * Tensors bound on one CUDA device: one native call per clip, whose ticket tells the result. Methods exclude each
 * other, so that a result may be read on any thread; after a fault all work is refused.
 */
public final class CudaPlan implements AutoCloseable {
    private final CudaPieceTable table;
    private final long tableAddress;
    private final long coefficientAddress;
    private final long findingAddress;
    private CudaResults ring;
    private long handle;
    private @Nullable CudaFatalException fault;
    private int captures;

    /** Threads that wait for a result, for which the plan must stay. */
    private int waiting;

    /**
     * Binds what the table says.
     *
     * @param mostParts of one rule
     * @throws UnboundPieceException if a piece's memory is not what it is said to be
     */
    public CudaPlan(int device, CudaPieceTable table, int mostParts) {
        this.table = table;
        tableAddress = NativeCuda.address(table.pieces);
        handle = NativeCuda.createPlan(device, tableAddress, table.size(), table.gradients(), mostParts);
        try {
            ring = CudaResults.at(NativeCuda.ring(handle), CudaResults.SIZE);
            coefficientAddress = NativeCuda.coefficientAddress(handle);
            findingAddress = NativeCuda.findingAddress(handle);
        } catch (Throwable e) {
            NativeCuda.destroyPlan(handle);
            throw e;
        }
    }

    /**
     * Binds what the table says now; what has not changed costs nothing.
     *
     * @throws UnboundPieceException if a piece's memory is not what it is said to be; nothing is bound then
     */
    public synchronized void rebind() {
        long plan = usable();
        try {
            NativeCuda.rebind(plan, tableAddress);
        } catch (CudaFatalException e) {
            throw poisonedBy(e);
        } finally {
            Reference.reachabilityFence(table);
        }
    }

    /** Measures some tensors for a {@link #clip} that is told so. */
    public synchronized void measure(long stream, NormType type, int from, int to) {
        long plan = usable();
        try {
            NativeCuda.measure(plan, stream, kind(type), type.p(), from, to);
        } catch (CudaFatalException e) {
            throw poisonedBy(e);
        }
    }

    /** Measures all; returns a ticket. */
    public synchronized long globalNorm(long stream, NormType type) {
        long plan = usable();
        try {
            return NativeCuda.globalNorm(plan, stream, kind(type), type.p());
        } catch (CudaFatalException e) {
            throw poisonedBy(e);
        }
    }

    /** Clips by a rule, measuring first unless that is done; returns a ticket. */
    public synchronized long clip(long stream, CudaRule rule, boolean isMeasured) {
        return enqueue(stream, rule, isMeasured, true);
    }

    /** Measures and decides, and leaves everything as it is; returns a ticket. */
    public synchronized long decide(long stream, CudaRule rule) {
        return enqueue(stream, rule, false, false);
    }

    private long enqueue(long stream, CudaRule rule, boolean isMeasured, boolean applies) {
        long plan = usable();
        try {
            if (rule.clamps()) return NativeCuda.clipByValue(plan, stream, rule.address);
            return NativeCuda.clipByNorm(plan, stream, rule.address, isMeasured, applies);
        } catch (CudaFatalException e) {
            throw poisonedBy(e);
        } finally {
            Reference.reachabilityFence(rule);
        }
    }

    /** Scales by a norm that is given; returns a ticket. */
    public synchronized long clipWithNorm(long stream, CudaRule rule, double norm) {
        long plan = usable();
        try {
            return NativeCuda.clipWithNorm(plan, stream, rule.address, norm);
        } catch (CudaFatalException e) {
            throw poisonedBy(e);
        } finally {
            Reference.reachabilityFence(rule);
        }
    }

    /** Scales by a norm that lies on the device; returns a ticket. */
    public synchronized long clipWithNorm(
            long stream, CudaRule rule, long address, boolean isFloat32, boolean isSquared) {
        long plan = usable();
        try {
            return NativeCuda.clipWithNormAt(plan, stream, rule.address, address, isFloat32, isSquared);
        } catch (CudaFatalException e) {
            throw poisonedBy(e);
        } finally {
            Reference.reachabilityFence(rule);
        }
    }

    /** Makes that part of the graph that the stream is captured into. */
    public synchronized CudaCapture captureWithNorm(
            long stream, CudaRule rule, long address, boolean isFloat32, boolean isSquared) {
        long plan = usable();
        try {
            return captured(NativeCuda.captureWithNormAt(plan, stream, rule.address, address, isFloat32, isSquared));
        } catch (CudaFatalException e) {
            throw poisonedBy(e);
        } finally {
            Reference.reachabilityFence(rule);
        }
    }

    private CudaCapture captured(int number) {
        captures++;
        return new CudaCapture(this, number, CudaResults.at(NativeCuda.captureSlot(handle, number), 1));
    }

    /** Makes a clip by a rule part of the graph that the stream is captured into. */
    public synchronized CudaCapture capture(long stream, CudaRule rule) {
        long plan = usable();
        try {
            int number = rule.clamps()
                    ? NativeCuda.captureByValue(plan, stream, rule.address)
                    : NativeCuda.captureByNorm(plan, stream, rule.address);
            return captured(number);
        } catch (CudaFatalException e) {
            throw poisonedBy(e);
        } finally {
            Reference.reachabilityFence(rule);
        }
    }

    /** Gives a captured clip a rule's numbers, for replays that the stream is given from here on. */
    synchronized void setNumbers(long stream, int capture, CudaRule rule) {
        long plan = usable();
        try {
            NativeCuda.setNumbers(plan, stream, capture, rule.address);
        } catch (CudaFatalException e) {
            throw poisonedBy(e);
        } finally {
            Reference.reachabilityFence(rule);
        }
    }

    synchronized void closeCapture(int capture) {
        captures--;
        if (handle != 0) NativeCuda.closeCapture(handle, capture);
    }

    /** Throws where the plan is closed, or its device has failed. */
    public synchronized void requireUsable() {
        usable();
    }

    /** Returns true if graphs hold clips of this plan. */
    public synchronized boolean hasCaptures() {
        return captures > 0;
    }

    /** Waits for everything enqueued so far. */
    public synchronized void synchronize() {
        waitFor(usable());
    }

    /** The norm of some segments as measured last, unscaled. */
    public synchronized double norm(NormType type, double inverseScale, int from, int to) {
        long plan = usable();
        try {
            return NativeCuda.norm(plan, kind(type), type.p(), inverseScale, from, to);
        } catch (CudaFatalException e) {
            throw poisonedBy(e);
        }
    }

    /** The norm that a ticket stands for: waits for it. */
    public double total(long ticket) {
        await(ticket);
        synchronized (this) {
            return results(ticket).globalNorm(ticket);
        }
    }

    /** Waits for a clip; returns the number of elements that it changed. */
    public long changed(long ticket) {
        await(ticket);
        synchronized (this) {
            return results(ticket).changed(ticket);
        }
    }

    /**
     * Writes the tiles' partials of what was measured last, of a plan of one tensor: {@link TensorSums#addPartials}.
     */
    public synchronized void partials(ByteBuffer to) {
        long plan = usable();
        try {
            NativeCuda.partials(plan, NativeCuda.address(to));
        } catch (CudaFatalException e) {
            throw poisonedBy(e);
        } finally {
            Reference.reachabilityFence(to);
        }
    }

    /** The factor that the last clip multiplied a segment by. */
    public synchronized double coefficient(int segment) {
        long plan = usable();
        try {
            return NativeCuda.coefficient(plan, segment);
        } catch (CudaFatalException e) {
            throw poisonedBy(e);
        }
    }

    /** The device address of a figure of the last clip or decision. */
    public synchronized long address(DeviceFigure figure) {
        usable();
        return (figure.isFinding ? findingAddress : coefficientAddress) + figure.offset;
    }

    /**
     * Waits until the ticket's result is there. Other threads may give the plan work meanwhile; closing it waits until
     * nobody waits here.
     */
    public void await(long ticket) {
        long plan;
        synchronized (this) {
            if (ring.holds(ticket)) return;
            plan = usable();
            waiting++;
        }
        try {
            NativeCuda.await(plan, ticket);
        } catch (CudaFatalException e) {
            synchronized (this) {
                throw poisonedBy(e);
            }
        } finally {
            synchronized (this) {
                waiting--;
                notifyAll();
            }
        }
    }

    /** The results so far, that of the ticket among them. To be read while this plan's monitor is held. */
    public CudaResults results(long ticket) {
        if (!Thread.holdsLock(this)) throw new IllegalMonitorStateException("hold the plan while results are read");
        if (!ring.holds(ticket)) throw new IllegalStateException("no result came for ticket " + ticket);
        return ring;
    }

    /** Returns true if the ticket's result can be read without waiting. */
    public synchronized boolean isComplete(long ticket) {
        return ring.holds(ticket);
    }

    private long usable() {
        if (fault != null) {
            throw new IllegalStateException("the clipper stopped working: " + fault.getMessage(), fault);
        }
        if (handle == 0) throw new IllegalStateException("the clipper is closed");
        return handle;
    }

    private CudaFatalException poisonedBy(CudaFatalException e) {
        fault = e;
        return e;
    }

    private static int kind(NormType type) {
        return NormKind.of(type).ordinal();
    }

    /** Waits for what is in flight and lets go of the device; results that are not overwritten can still be read. */
    @Override
    public synchronized void close() {
        if (handle == 0) return;
        long plan = handle;
        handle = 0;
        awaitWaiters();
        try {
            if (fault == null) waitFor(plan);
        } finally {
            keepResults();
            destroy(plan);
        }
    }

    private synchronized void awaitWaiters() {
        boolean interrupted = false;
        while (waiting > 0) {
            try {
                wait();
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) Thread.currentThread().interrupt();
    }

    /** Results that can be read after the device's memory is gone: none where there is no memory for a copy. */
    private void keepResults() {
        CudaResults last = ring;
        ring = CudaResults.NONE;
        try {
            ring = last.copy();
        } catch (OutOfMemoryError e) {
            // They are said to be gone.
        }
    }

    private void waitFor(long plan) {
        try {
            NativeCuda.synchronize(plan);
        } catch (CudaFatalException e) {
            throw poisonedBy(e);
        }
    }

    private void destroy(long plan) {
        try {
            NativeCuda.destroyPlan(plan);
        } catch (CudaException e) {
            // Of a device that is lost nothing can be given back; that has been said.
            if (fault == null) throw e;
        }
    }
}
