// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.cuda;

import dev.gradclip.ClipRule;
import dev.gradclip.CudaException;
import dev.gradclip.CudaFatalException;
import dev.gradclip.DType;
import dev.gradclip.DeviceNorm;
import dev.gradclip.NormType;
import dev.gradclip.Update;
import dev.gradclip.internal.jni.NativeCuda;
import dev.gradclip.internal.jni.UnboundPieceException;
import dev.gradclip.internal.reduce.NormKind;
import dev.gradclip.internal.update.StateForm;
import java.lang.ref.Reference;
import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;

/**
 * Tensors bound on one CUDA device, and the work on them.
 *
 * <p>A clip is one native call, which enqueues kernels and returns the call's number; numbers ascend. The device writes
 * the result of each call into a ring in mapped host memory ({@link CudaResults}), so that reading a result that is
 * complete needs no native call.
 *
 * <p>Methods hold this plan's monitor, so results may be read on any thread while another one clips. Only {@link
 * #await} waits without the monitor, and {@link #close} waits for its callers before it frees the plan. After a {@link
 * CudaFatalException} the plan refuses all work. After the plan is closed, the results of the last calls can still be
 * read from a copy.
 */
public final class CudaPlan implements AutoCloseable {
    private final int device;
    private final CudaPieceTable table;
    private final long tableAddress;
    private final long coefficientAddress;
    private final long findingAddress;
    private CudaResults ring;
    private long handle;
    private @Nullable CudaFatalException fault;
    private int captures;

    /** The number of threads in {@link #await}, during which the native plan must not be destroyed. */
    private int waiting;

    /**
     * Binds the tensors at the addresses in the table.
     *
     * @param mostParts the largest number of parts of one rule
     * @throws UnboundPieceException if a piece can't be bound at its address
     */
    public CudaPlan(int device, CudaPieceTable table, int mostParts) {
        this.device = device;
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
     * Binds the tensors at the addresses that the table has now; unchanged pieces cost nothing.
     *
     * @throws UnboundPieceException if a piece can't be bound at its address; nothing is bound then
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

    /** Measures the segments {@code [from, to)} for a later {@link #clip} with {@code isMeasured}. */
    public synchronized void measure(long stream, NormType type, int from, int to) {
        long plan = usable();
        try {
            NativeCuda.measure(plan, stream, kind(type), type.p(), from, to);
        } catch (CudaFatalException e) {
            throw poisonedBy(e);
        }
    }

    /** Measures all gradients; returns the call. */
    public synchronized long globalNorm(long stream, NormType type) {
        long plan = usable();
        try {
            return NativeCuda.globalNorm(plan, stream, kind(type), type.p());
        } catch (CudaFatalException e) {
            throw poisonedBy(e);
        }
    }

    /** Clips by a rule, after measuring unless {@code isMeasured}; returns the call. */
    public synchronized long clip(long stream, CudaRule rule, boolean isMeasured) {
        return enqueue(stream, rule, isMeasured, true);
    }

    /** Measures and decides, and writes to no gradient; returns the call. */
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

    /** Updates weights with the gradients that a rule clips; returns the call. */
    public synchronized long step(long stream, CudaRule rule, CudaUpdateState state, Update update) {
        long plan = usable();
        try {
            return NativeCuda.step(plan, stream, rule.address, rule.clamps(), state.numbers(update));
        } catch (CudaFatalException e) {
            throw poisonedBy(e);
        } finally {
            Reference.reachabilityFence(rule);
            Reference.reachabilityFence(state);
        }
    }

    /** Makes the state of updates, of tensors which begin at these pieces, and where the last one ends. */
    synchronized void createUpdates(StateForm form, ByteBuffer firstPieces) {
        long plan = usable();
        try {
            NativeCuda.createUpdates(
                    plan,
                    form.update().ordinal(),
                    form.masterWeights(),
                    NativeCuda.address(firstPieces),
                    firstPieces.capacity() / 4 - 1);
        } catch (CudaFatalException e) {
            throw poisonedBy(e);
        } finally {
            Reference.reachabilityFence(firstPieces);
        }
    }

    /** Makes room for the histories of a rule on the device; returns its address. */
    synchronized long createHistory(long bytes) {
        long plan = usable();
        try {
            return NativeCuda.createHistory(plan, bytes);
        } catch (CudaFatalException e) {
            throw poisonedBy(e);
        }
    }

    /** Copies histories to the host, or from there, after all work so far. */
    synchronized void copyHistory(long address, ByteBuffer memory, boolean toHost) {
        usable();
        copy(address, memory, toHost);
    }

    /** Copies the steps of all tensors to the host, or from there, after all work so far. */
    synchronized void copyProgress(ByteBuffer memory, boolean toHost) {
        copy(NativeCuda.progressAddress(usable()), memory, toHost);
    }

    /** Copies a part of a tensor's state to the host, or from there, after all work so far. */
    synchronized void copyState(int slot, int tensor, long from, ByteBuffer memory, boolean toHost) {
        copy(NativeCuda.updateStateAddress(usable(), slot, tensor) + from, memory, toHost);
    }

    /** The last call's stream may be gone, so it is that call that is waited for. */
    private void copy(long onDevice, ByteBuffer memory, boolean toHost) {
        if (memory.capacity() == 0) return;
        waitFor(handle);
        long onHost = NativeCuda.address(memory);
        try {
            if (toHost) NativeCuda.copyToHost(device, 0, onHost, onDevice, memory.capacity());
            else NativeCuda.copyToDevice(device, 0, onDevice, onHost, memory.capacity());
        } catch (CudaFatalException e) {
            throw poisonedBy(e);
        } finally {
            Reference.reachabilityFence(memory);
        }
    }

    /** Clips by a norm that the caller gives; returns the call. */
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

    /** Multiplies all gradients by a coefficient that the caller has, by the numbers of a rule of its own. */
    public long multiply(long stream, CudaRule numbers, double coefficient) {
        // Normalizing a norm of 1 to a target multiplies by the target, which is at most 2^127; the inverse scale
        // supplies the rest. A NaN norm makes a NaN coefficient.
        boolean isNaN = Double.isNaN(coefficient);
        double length = isNaN ? 1 : Math.min(coefficient, 0x1p127);
        double beyond = coefficient > length ? Math.min(coefficient / length, Double.MAX_VALUE) : 1;
        numbers.norm(
                CudaRule.Granularity.ALL, ClipRule.normalizeAbove(0, length).withInverseScale(beyond));
        return clipWithNorm(stream, numbers, isNaN ? Double.NaN : 1);
    }

    /** Clips by a norm in device memory; returns the call. */
    public synchronized long clipWithNorm(long stream, CudaRule rule, DeviceNorm norm) {
        long plan = usable();
        try {
            return NativeCuda.clipWithNormAt(
                    plan, stream, rule.address, norm.address(), isFloat32(norm), norm.isSquared());
        } catch (CudaFatalException e) {
            throw poisonedBy(e);
        } finally {
            Reference.reachabilityFence(rule);
        }
    }

    private static boolean isFloat32(DeviceNorm norm) {
        return norm.dtype() == DType.FLOAT32;
    }

    /** Adds a clip to the graph that the stream is captured into; the norm is null if the clip measures it. */
    public synchronized CudaCapture capture(long stream, CudaRule rule, @Nullable DeviceNorm norm) {
        long plan = usable();
        try {
            int number;
            if (norm != null) {
                number = NativeCuda.captureWithNormAt(
                        plan, stream, rule.address, norm.address(), isFloat32(norm), norm.isSquared());
            } else if (rule.clamps()) {
                number = NativeCuda.captureByValue(plan, stream, rule.address);
            } else {
                number = NativeCuda.captureByNorm(plan, stream, rule.address);
            }
            return captured(plan, number, "clip");
        } catch (CudaFatalException e) {
            throw poisonedBy(e);
        } finally {
            Reference.reachabilityFence(rule);
        }
    }

    /** Adds a step to the graph that the stream is captured into. */
    public synchronized CudaCapture captureStep(long stream, CudaRule rule, CudaUpdateState state, Update update) {
        long plan = usable();
        try {
            long numbers = state.numbers(update);
            return captured(plan, NativeCuda.captureStep(plan, stream, rule.address, rule.clamps(), numbers), "step");
        } catch (CudaFatalException e) {
            throw poisonedBy(e);
        } finally {
            Reference.reachabilityFence(rule);
            Reference.reachabilityFence(state);
        }
    }

    private CudaCapture captured(long plan, int number, String what) {
        captures++;
        return new CudaCapture(this, number, CudaResults.at(NativeCuda.captureSlot(plan, number), 1), what);
    }

    /** Replaces the numbers of a captured clip's rule, for replays enqueued on the stream from here on. */
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

    /** Replaces the numbers of a captured step's update, for replays enqueued on the stream from here on. */
    synchronized void setUpdate(long stream, int capture, CudaUpdateState state, Update update) {
        long plan = usable();
        try {
            NativeCuda.setUpdate(plan, stream, capture, state.numbers(update));
        } catch (CudaFatalException e) {
            throw poisonedBy(e);
        } finally {
            Reference.reachabilityFence(state);
        }
    }

    synchronized void closeCapture(int capture) {
        captures--;
        if (handle != 0) NativeCuda.closeCapture(handle, capture);
    }

    /** Throws if the plan is closed or its device has failed. */
    public synchronized void requireUsable() {
        usable();
    }

    /** Returns true if graphs hold clips or steps of this plan. */
    public synchronized boolean hasCaptures() {
        return captures > 0;
    }

    /** Waits for everything enqueued so far. */
    public synchronized void synchronize() {
        waitFor(usable());
    }

    /** The norm of the segments {@code [from, to)} as last measured, multiplied by the inverse scale. */
    public synchronized double norm(NormType type, double inverseScale, int from, int to) {
        long plan = usable();
        try {
            return NativeCuda.norm(plan, kind(type), type.p(), inverseScale, from, to);
        } catch (CudaFatalException e) {
            throw poisonedBy(e);
        }
    }

    /** Waits for a call; returns the norm over all gradients that it measured. */
    public double total(long call) {
        await(call);
        synchronized (this) {
            return results(call).globalNorm(call);
        }
    }

    /** Waits for a call; returns the number of elements that it changed. */
    public long changed(long call) {
        await(call);
        synchronized (this) {
            return results(call).changed(call);
        }
    }

    /** Reads the partials of the last measurement. */
    public synchronized void partials(CudaPartials to) {
        long plan = usable();
        try {
            NativeCuda.partials(plan, NativeCuda.address(to.memory));
        } catch (CudaFatalException e) {
            throw poisonedBy(e);
        } finally {
            Reference.reachabilityFence(to);
        }
        to.place();
    }

    /** The factor by which the last clip multiplied a segment. */
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
     * Waits until the call's result can be read. Other threads may use the plan meanwhile; {@link #close} waits for the
     * threads in this method.
     */
    public void await(long call) {
        long plan;
        synchronized (this) {
            if (ring.holds(call)) return;
            plan = usable();
            waiting++;
        }
        try {
            NativeCuda.await(plan, call);
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

    /** Returns the ring, which holds the call's result; to be read while this plan's monitor is held. */
    public CudaResults results(long call) {
        if (!Thread.holdsLock(this)) throw new IllegalMonitorStateException("hold the plan while results are read");
        if (!ring.holds(call)) throw new IllegalStateException("no result came for ticket " + call);
        return ring;
    }

    /** Returns true if the call's result can be read without waiting. */
    public synchronized boolean isComplete(long call) {
        return ring.holds(call);
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

    /** Waits for all enqueued work and frees the device's memory; the results in the ring can still be read. */
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

    /** Replaces the ring by a copy that stays readable, or by an empty one if there is no memory for a copy. */
    private void keepResults() {
        CudaResults last = ring;
        ring = CudaResults.NONE;
        try {
            ring = last.copy();
        } catch (OutOfMemoryError e) {
            // Reading a result throws CudaResults.gone from here on.
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
            // A lost device has nothing to free, and the fault was thrown already.
            if (fault == null) throw e;
        }
    }
}
