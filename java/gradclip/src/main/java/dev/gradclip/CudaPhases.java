// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import dev.gradclip.internal.CudaCapture;
import dev.gradclip.internal.CudaPlan;
import dev.gradclip.internal.CudaRing;
import dev.gradclip.internal.DeviceFigure;
import dev.gradclip.internal.RuleTable;
import org.jspecify.annotations.Nullable;

/** Measure, decide, apply for one clipper on a CUDA device, which does all three by itself: one native call per clip. */
final class CudaPhases implements Phases {
    private final CudaPlan plan;
    private final DeviceBinding binding;
    private final ClipResult.TensorNorms details;
    private final RuleTable table;
    private @Nullable ResolvedRule tabled;
    private @Nullable NormType measuredType;
    private double measuredScale = 1;
    private long call;

    /** Whether a clip was given to the device and did not return, so that nobody knows how far it came. */
    private volatile boolean writing;

    /** What the latest work is on; work on another stream waits there for this one, so both stay. */
    private CudaStream stream = CudaStream.DEFAULT;

    private CudaStream streamBefore = CudaStream.DEFAULT;

    CudaPhases(DeviceBinding binding, ClipResult.TensorNorms details) {
        this.plan = binding.plan();
        this.binding = binding;
        this.details = details;
        table = new RuleTable(binding.mostParts());
    }

    @Override
    public double globalNorm(NormType type) {
        forget();
        call = plan.globalNorm(on(CudaStream.DEFAULT), type);
        measuredType = type;
        measuredScale = 1;
        return read(call, 0, 0).totalNorm();
    }

    @Override
    public void measure(NormType type, Group range, CudaStream stream) {
        forget();
        Segments segments = binding.segments();
        plan.measure(on(stream), type, segments.from(range.from()), segments.from(range.to()));
    }

    @Override
    public ClipResult clip(ResolvedRule rule, boolean isMeasured) {
        return clipped(enqueue(rule, isMeasured, CudaStream.DEFAULT));
    }

    @Override
    public ClipResult clipAsync(ResolvedRule rule, boolean isMeasured, CudaStream stream) {
        long ticket = enqueue(rule, isMeasured, stream);
        writing = false;
        return new ClipTicket(this, ticket, binding.tensors(), binding.elements());
    }

    @Override
    public ClipResult decide(ResolvedRule rule) {
        return completed(enqueueDecision(rule, CudaStream.DEFAULT));
    }

    @Override
    public ClipResult decideAsync(ResolvedRule rule, CudaStream stream) {
        return new ClipTicket(this, enqueueDecision(rule, stream), binding.tensors(), binding.elements());
    }

    private long enqueueDecision(ResolvedRule rule, CudaStream stream) {
        forget();
        call = plan.decide(on(stream), table(rule));
        measured(rule);
        return call;
    }

    @Override
    public CapturedClip capture(ResolvedRule rule, CudaStream stream) {
        // A replay measures anew, and nobody here is told.
        forget();
        return new CapturedClip(this, plan.capture(stream.handle(), table(rule)), rule.rule);
    }

    @Override
    public CapturedClip capture(ResolvedRule rule, DeviceNorm norm, CudaStream stream) {
        forget();
        CudaCapture capture =
                plan.captureWithNorm(stream.handle(), table(rule), norm.address(), norm.isFloat32(), norm.isSquared());
        return new CapturedClip(this, capture, rule.rule);
    }

    /** Gives a captured clip another rule's numbers. */
    void setRule(CudaCapture capture, ClipRule rule, CudaStream stream) {
        if (rule instanceof NormRule norm
                && norm.scope() == Scope.TENSOR
                && !binding.segments().areTensors()) {
            throw new IllegalArgumentException(
                    "the numbers of a captured clip of each tensor can't change where tensors have "
                            + "rows; capture it anew");
        }
        RuleTable numbers = new RuleTable(0);
        if (rule instanceof NormRule norm) {
            numbers.norm(RuleTable.Scope.ALL, norm);
        } else if (rule instanceof ValueRule value) {
            numbers.value(value.min(), value.max(), value.inverseScale(), value.nonFinitePolicy());
        }
        capture.setRule(stream.handle(), numbers);
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

    /** What precedes a clip; from here on a failure leaves the tensors partly clipped. Returns the stream's handle. */
    private long begin(ResolvedRule rule, CudaStream stream) {
        writing = false;
        forget();
        long handle = on(stream);
        table(rule);
        plan.requireUsable();
        writing = true;
        return handle;
    }

    private long enqueue(ResolvedRule rule, boolean isMeasured, CudaStream stream) {
        long handle = begin(rule, stream);
        call = plan.clip(handle, table, isMeasured);
        measured(rule);
        return call;
    }

    private void measured(ResolvedRule rule) {
        measuredType = rule.normType;
        measuredScale = rule.inverseScale;
    }

    /** The rule's numbers, written once. */
    private RuleTable table(ResolvedRule rule) {
        if (rule != tabled) {
            rule.write(table, binding.segments());
            tabled = rule;
        }
        return table;
    }

    @Override
    public ClipResult clipWithNorm(ResolvedRule rule, double globalNorm) {
        if (!Double.isFinite(globalNorm) && rule.policy() == NonFinitePolicy.ERROR) {
            throw new NonFiniteGradientException("the norm given", globalNorm);
        }
        long handle = begin(rule, CudaStream.DEFAULT);
        call = plan.clipWithNorm(handle, table, globalNorm);
        return clipped(call);
    }

    @Override
    public ClipResult clipWithNorm(ResolvedRule rule, DeviceNorm norm, CudaStream stream) {
        long handle = begin(rule, stream);
        call = plan.clipWithNorm(handle, table, norm.address(), norm.isFloat32(), norm.isSquared());
        writing = false;
        return new ClipTicket(this, call, binding.tensors(), binding.elements());
    }

    private ClipResult clipped(long ticket) {
        plan.synchronize();
        writing = false;
        return read(ticket, binding.tensors(), binding.elements());
    }

    @Override
    public boolean isPartlyClipped() {
        return writing;
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
        plan.await(ticket);
        synchronized (plan) {
            ClipSnapshot snapshot = snapshot(plan.results(ticket), ticket, tensors, elements, details);
            if (snapshot == null) throw CudaRing.gone();
            return snapshot;
        }
    }

    /** A copy of a ticket's figures, or null where the device has gone on meanwhile and come round. */
    private @Nullable ClipSnapshot snapshot(
            CudaRing ring, long ticket, int tensors, long elements, ClipResult.@Nullable TensorNorms perTensor) {
        boolean refused = ring.refused(ticket);
        int segment = ring.segment(ticket);
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
        if (refused && segment < 0) throw new NonFiniteGradientException("the norm given", snapshot.totalNorm());
        if (refused) throw binding.nonFinite(segment, norm);
        return snapshot;
    }

    boolean isComplete(long ticket) {
        return plan.isComplete(ticket);
    }

    @Override
    public double norm(int fromSegment, int toSegment, long ofCall) {
        return plan.norm(requireCurrent(ofCall), measuredScale, fromSegment, toSegment);
    }

    @Override
    public double coefficient(int segment, long ofCall) {
        requireCurrent(ofCall);
        return plan.coefficient(segment);
    }

    private NormType requireCurrent(long ofCall) {
        return ClipPhases.requireCurrent(ofCall, call, measuredType);
    }

    @Override
    public long address(DeviceFigure figure) {
        return plan.address(figure);
    }
}
