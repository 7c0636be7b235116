// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import dev.gradclip.internal.CudaCapture;
import dev.gradclip.internal.CudaPlan;
import dev.gradclip.internal.CudaRing;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** Measure, decide, apply for one clipper on a CUDA device, which does all three by itself: one native call per clip. */
final class CudaPhases implements Phases {
    private final CudaPlan plan;
    private final DeviceBinding binding;
    private final ClipResult.TensorNorms details;
    private @Nullable NormType measuredType;
    private long call;

    /** What the latest work is on; work on another stream waits there for this one, so both stay. */
    private CudaStream stream = CudaStream.DEFAULT;

    private CudaStream streamBefore = CudaStream.DEFAULT;

    CudaPhases(DeviceBinding binding, ClipResult.TensorNorms details) {
        this.plan = binding.plan();
        this.binding = binding;
        this.details = details;
    }

    @Override
    public double globalNorm(NormType type) {
        forget();
        call = plan.globalNorm(on(CudaStream.DEFAULT), type);
        measuredType = type;
        return read(call, 0, 0).totalNorm();
    }

    @Override
    public void measure(NormType type, Group range) {
        forget();
        plan.measure(on(CudaStream.DEFAULT), type, range.from(), range.to());
    }

    @Override
    public ClipResult clip(ClipRule rule, boolean isMeasured) {
        return completed(enqueue(rule, isMeasured, CudaStream.DEFAULT));
    }

    @Override
    public ClipResult clipAsync(ClipRule rule, CudaStream stream) {
        return new ClipTicket(this, enqueue(rule, false, stream), binding.tensors(), binding.elements());
    }

    @Override
    public ClipResult decide(ClipRule.GlobalNorm rule) {
        return completed(enqueueDecision(rule, CudaStream.DEFAULT));
    }

    @Override
    public ClipResult decideAsync(ClipRule.GlobalNorm rule, CudaStream stream) {
        return new ClipTicket(this, enqueueDecision(rule, stream), binding.tensors(), binding.elements());
    }

    private long enqueueDecision(ClipRule.GlobalNorm rule, CudaStream stream) {
        forget();
        call = plan.decide(on(stream), rule);
        measuredType = rule.normType();
        return call;
    }

    @Override
    public CapturedClip capture(ClipRule rule, CudaStream stream) {
        // A replay measures anew, and nobody here is told.
        forget();
        return new CapturedClip(this, plan.capture(stream.handle(), rule), rule);
    }

    /** The result of the latest replay. */
    ClipSnapshot latest(CudaCapture capture) {
        synchronized (plan) {
            CudaRing slot = capture.slot();
            while (true) {
                long replay = slot.latest();
                if (capture.replays() == 0) {
                    throw new IllegalStateException(
                            "no replay has finished; launch the graph and wait for its stream first");
                }
                ClipSnapshot snapshot = snapshot(slot, replay, binding.tensors(), binding.elements(), null);
                if (snapshot != null) return snapshot;
            }
        }
    }

    private long enqueue(ClipRule rule, boolean isMeasured, CudaStream stream) {
        Objects.requireNonNull(rule, "rule");
        forget();
        call = plan.clip(on(stream), rule, isMeasured);
        if (rule instanceof ClipRule.GlobalNorm r) measuredType = r.normType();
        else if (rule instanceof ClipRule.PerTensorNorm r) measuredType = r.normType();
        return call;
    }

    @Override
    public ClipResult clipWithNorm(ClipRule.GlobalNorm rule, double globalNorm) {
        if (!Double.isFinite(globalNorm) && rule.nonFinitePolicy() == NonFinitePolicy.ERROR) {
            throw new NonFiniteGradientException("the norm given", globalNorm);
        }
        forget();
        call = plan.clipWithNorm(on(CudaStream.DEFAULT), rule, globalNorm);
        return completed(call);
    }

    /** A result is there before elements are scaled, so the stream is waited for too. */
    private ClipResult completed(long ticket) {
        plan.synchronize();
        return read(ticket, binding.tensors(), binding.elements());
    }

    private long on(CudaStream next) {
        if (next != stream) {
            next.retain();
            streamBefore.release();
            streamBefore = stream;
            stream = next;
        }
        return next.handle();
    }

    @Override
    public void clear() {
        stream.release();
        streamBefore.release();
        stream = CudaStream.DEFAULT;
        streamBefore = CudaStream.DEFAULT;
    }

    private void forget() {
        call = 0;
        measuredType = null;
    }

    /** Waits for what a ticket stands for. */
    ClipSnapshot read(long ticket, int tensors, long elements) {
        synchronized (plan) {
            ClipSnapshot snapshot = snapshot(plan.await(ticket), ticket, tensors, elements, details);
            if (snapshot == null) throw CudaRing.gone();
            return snapshot;
        }
    }

    /** A copy of a ticket's figures, or null where the device has gone on meanwhile and come round. */
    private @Nullable ClipSnapshot snapshot(
            CudaRing ring, long ticket, int tensors, long elements, ClipResult.@Nullable TensorNorms perTensor) {
        boolean refused = ring.refused(ticket);
        int tensor = ring.segment(ticket);
        double norm = ring.segmentNorm(ticket);
        ClipSnapshot snapshot = new ClipSnapshot(
                ring.totalNorm(ticket),
                ring.coefficient(ticket),
                ring.clipped(ticket),
                ring.nonFinite(ticket),
                tensors,
                elements,
                ring.changed(ticket),
                perTensor,
                ticket);
        if (!ring.kept(ticket)) return null;
        if (refused) throw new NonFiniteGradientException(binding.name(tensor), norm);
        return snapshot;
    }

    boolean isComplete(long ticket) {
        return plan.isComplete(ticket);
    }

    @Override
    public double norm(int from, int to, long ofCall) {
        return plan.norm(requireCurrent(ofCall), from, to);
    }

    @Override
    public double coefficient(int tensor, long ofCall) {
        requireCurrent(ofCall);
        return plan.coefficient(Objects.checkIndex(tensor, binding.size()));
    }

    private NormType requireCurrent(long ofCall) {
        return ClipPhases.requireCurrent(ofCall, call, measuredType);
    }

    @Override
    public long coefficientAddress() {
        return plan.coefficientAddress();
    }
}
