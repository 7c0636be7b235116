// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.clip;

import dev.gradclip.ClipRule;
import dev.gradclip.DeviceNorm;
import dev.gradclip.NonFiniteGradientException;
import dev.gradclip.NonFinitePolicy;
import dev.gradclip.NormRule;
import dev.gradclip.NormType;
import dev.gradclip.Scope;
import dev.gradclip.Update;
import dev.gradclip.ValueRule;
import dev.gradclip.internal.binding.DeviceBinding;
import dev.gradclip.internal.cuda.CudaCapture;
import dev.gradclip.internal.cuda.CudaHistory;
import dev.gradclip.internal.cuda.CudaPartials;
import dev.gradclip.internal.cuda.CudaPlan;
import dev.gradclip.internal.cuda.CudaResults;
import dev.gradclip.internal.cuda.CudaRule;
import dev.gradclip.internal.cuda.DeviceFigure;
import dev.gradclip.internal.cuda.StreamHandle;
import dev.gradclip.internal.ranks.Contribution;
import dev.gradclip.internal.ranks.RankLayout;
import dev.gradclip.internal.ranks.Shard;
import dev.gradclip.internal.ranks.Verdict;
import dev.gradclip.internal.reduce.NormKind;
import dev.gradclip.internal.rule.HistoryMemory;
import dev.gradclip.internal.rule.ResolvedRule;
import dev.gradclip.internal.rule.TensorRange;
import dev.gradclip.internal.update.StateForm;
import dev.gradclip.internal.update.UpdateMemory;
import org.jspecify.annotations.Nullable;

/**
 * Measures, decides and applies for one clipper on a CUDA device. One native call enqueues all three phases.
 */
public final class CudaPhases implements Phases {
    private final CudaPlan plan;
    private final DeviceBinding binding;
    private final CudaRule numbers;

    /** The numbers by which what ranks decided is applied. */
    private final CudaRule decided;

    private @Nullable CudaPartials partials;

    /** The rule that {@link #numbers} was written from. */
    private @Nullable ResolvedRule written;

    private @Nullable NormType measuredType;
    private double measuredScale = 1;
    private @Nullable CudaUpdates updates;
    private long call;

    /** True if a clip was enqueued and its call did not return normally: some elements may have been written. */
    private volatile boolean writing;

    /** The stream of the latest work. Work on another stream waits for this one, so both are retained. */
    private StreamHandle stream = StreamHandle.DEFAULT;

    private StreamHandle streamBefore = StreamHandle.DEFAULT;

    public CudaPhases(DeviceBinding binding) {
        plan = binding.plan();
        this.binding = binding;
        numbers = new CudaRule(binding.mostParts());
        decided = new CudaRule(binding.mostParts());
    }

    @Override
    public void clip(Call clip) {
        ResolvedRule rule = clip.rule();
        if (clip.isDecided()) {
            boolean updates =
                    clip.kind() == Call.Kind.STEP_DECIDED && binding.segments().hasWeights();
            apply(rule, clip.verdict(), updates ? clip.update() : null, clip.figures());
            clip.figures().threshold = clip.verdict().threshold;
            cover(clip.figures());
            return;
        }
        StreamHandle on = clip.stream();
        call = enqueue(clip, rule, on == null ? StreamHandle.DEFAULT : on);
        Figures figures = clip.figures();
        if (on == null) plan.synchronize();
        if (clip.kind() != Call.Kind.DECIDE) writing = false;
        // The device publishes a result before it scales the elements, so the stream is waited for above.
        if (on == null) read(call, figures);
        figures.isPending = on != null;
        cover(figures);
    }

    private void cover(Figures figures) {
        figures.tensors = binding.tensors();
        figures.elements = binding.elements();
        figures.call = call;
    }

    private long enqueue(Call clip, ResolvedRule rule, StreamHandle on) {
        switch (clip.kind()) {
            case CLIP, APPLY -> {
                long handle = begin(rule, on);
                return measured(rule, plan.clip(handle, numbers, clip.kind() == Call.Kind.APPLY));
            }
            case DECIDE -> {
                forget();
                return measured(rule, plan.decide(on(on), numbers(rule)));
            }
            case NORM_GIVEN -> {
                double norm = clip.globalNorm();
                if (!Double.isFinite(norm) && rule.policy() == NonFinitePolicy.ERROR) {
                    throw new NonFiniteGradientException("the norm given", norm);
                }
                long handle = begin(rule, on);
                return plan.clipWithNorm(handle, numbers, norm);
            }
            case STEP -> {
                writing = false;
                CudaUpdates now = updatable(clip.update());
                long handle = begin(rule, on);
                return measured(rule, plan.step(handle, numbers, now.state(), clip.update()));
            }
            case DECIDED, STEP_DECIDED ->
                throw new IllegalStateException("what ranks decided is applied, not enqueued");
            case NORM_ON_DEVICE -> {
                DeviceNorm norm = clip.deviceNorm();
                long handle = begin(rule, on);
                return plan.clipWithNorm(handle, numbers, norm);
            }
        }
        throw new IllegalStateException("unknown kind of call: " + clip.kind());
    }

    /** Prepares a clip; a failure from here on may leave the tensors partly clipped. Returns the stream's handle. */
    private long begin(ResolvedRule rule, StreamHandle on) {
        writing = false;
        forget();
        long handle = on(on);
        numbers(rule);
        plan.requireUsable();
        writing = true;
        return handle;
    }

    /** Remembers what a call measures; returns the call. */
    private long measured(ResolvedRule rule, long byCall) {
        measuredType = rule.normType;
        measuredScale = rule.inverseScale;
        return byCall;
    }

    private void forget() {
        call = 0;
        measuredType = null;
    }

    /** Returns the rule's numbers, which are written only if the rule has changed. */
    private CudaRule numbers(ResolvedRule rule) {
        if (rule != written) {
            numbers.write(rule, binding.segments());
            written = rule;
        }
        return numbers;
    }

    private long on(StreamHandle next) {
        if (next != stream) {
            next.retain();
            streamBefore.release();
            streamBefore = stream;
            stream = next;
        }
        return next.value();
    }

    @Override
    public double globalNorm(NormType type) {
        forget();
        call = plan.globalNorm(on(StreamHandle.DEFAULT), type);
        measuredType = type;
        measuredScale = 1;
        Figures figures = new Figures();
        read(call, figures);
        return figures.globalNorm;
    }

    @Override
    public void measure(NormType type, TensorRange range, StreamHandle on) {
        forget();
        plan.measure(
                on(on),
                type,
                binding.segments().from(range.from()),
                binding.segments().from(range.to()));
    }

    // ---- one norm over ranks ----------------------------------------------------------------------------------------

    @Override
    public void requireReady(ResolvedRule rule, @Nullable Update update) {
        // A rank that holds nothing has no weights either, and nothing to update.
        if (update != null && (binding.segments().hasWeights() || binding.elements() > 0)) {
            updatable(update);
        }
        if (rule.clamps() || rule.isGlobal() || binding.isOfRanks()) return;
        throw new IllegalStateException(rule.rule.name() + " has a coefficient for each of many, for which a clipper in"
                + " device memory has room where the builder declares what this rank holds: shard, replica or"
                + " elsewhere");
    }

    @Override
    public Contribution contribute(ResolvedRule rule, RankLayout layout, boolean zeroes) {
        writing = false;
        forget();
        long handle = on(StreamHandle.DEFAULT);
        if (zeroes) zeroNonFinite(handle);
        Contribution own = Contribution.of(rule, layout.present(binding::isPresent));
        NormType type = own.type();
        if (type == null) return own;
        NormKind kind = NormKind.of(type);
        if (kind == NormKind.POWER) {
            plan.globalNorm(handle, NormType.INF);
            readSums(NormKind.INF, own);
            System.arraycopy(own.sums().middle, 0, own.sums().maximum, 0, own.sums().middle.length);
            plan.globalNorm(handle, type);
        } else {
            plan.measure(handle, type, 0, binding.segments().gradients());
        }
        readSums(kind, own);
        return own;
    }

    private void zeroNonFinite(long handle) {
        writing = true;
        double none = Double.POSITIVE_INFINITY;
        plan.clip(handle, decided.value(-none, none, 1, NonFinitePolicy.ZERO), false);
    }

    private void readSums(NormKind kind, Contribution to) {
        CudaPartials read = partials;
        if (read == null) {
            read = binding.partials();
            partials = read;
        }
        plan.partials(read);
        int[] offsets = to.offsets();
        for (int i = 0; i < binding.size(); i++) {
            Shard shard = to.layout().shards().get(i);
            int count = offsets[i + 1] - offsets[i];
            if (!shard.isPresent()) continue;
            int segment = binding.segments().from(i);
            if (shard.isCut(kind)) read.cut(segment, shard.cut(), to.sums(), offsets[i]);
            else for (int row = 0; row < count; row++) read.segment(segment + row, kind, to.sums(), offsets[i] + row);
        }
    }

    /** Clips, or updates where there is an update, by what all ranks decided. */
    private void apply(ResolvedRule rule, Verdict verdict, @Nullable Update update, Figures figures) {
        if (verdict.refusal != null) throw verdict.refusal;
        forget();
        if (verdict.leaves) {
            figures.setSkipped(verdict.globalNorm, verdict.coefficient, verdict.isNonFinite);
        } else if (rule.clamps()) {
            long handle = begin(rule, StreamHandle.DEFAULT);
            long clamp = update == null ? plan.clip(handle, numbers, false) : step(handle, numbers, update);
            plan.synchronize();
            read(clamp, figures);
            figures.nonFinite = verdict.isNonFinite;
        } else {
            writing = update != null || verdict.changes();
            multiply(on(StreamHandle.DEFAULT), rule, verdict, update);
            plan.synchronize();
            figures.set(verdict.globalNorm, verdict.coefficient, verdict.clips(), verdict.isNonFinite, 0);
            figures.clippedNorm = verdict.clippedNorm();
        }
        writing = false;
    }

    private void multiply(long handle, ResolvedRule rule, Verdict verdict, @Nullable Update update) {
        if (update != null) {
            step(handle, factors(rule, verdict), update);
        } else if (rule.isGlobal() && verdict.changes()) {
            plan.multiply(handle, decided, verdict.coefficient);
        } else if (verdict.changes()) {
            // A p-norm's sums on the device are of its second pass alone.
            boolean isMeasured = NormKind.of(Phases.requireMeasured(rule.normType)) != NormKind.POWER;
            plan.clip(handle, factors(rule, verdict), isMeasured);
        }
    }

    private long step(long handle, CudaRule by, Update update) {
        return plan.step(handle, by, updates(StateForm.of(update)).state(), update);
    }

    /** The numbers of a rule that limits nothing, and whose unscaling multiplies by what ranks decided. */
    private CudaRule factors(ResolvedRule rule, Verdict verdict) {
        NormType type = Phases.requireMeasured(rule.normType);
        if (rule.isGlobal()) return decided.factor(type, verdict.coefficient);
        double[] coefficients = new double[binding.segments().gradients()];
        verdict.coefficients(binding.segments(), coefficients);
        return decided.factors(type, coefficients);
    }

    private CudaUpdates updatable(Update update) {
        CudaUpdates now = updates(StateForm.of(update));
        binding.requireUpdatable();
        return now;
    }

    @Override
    public HistoryMemory remember(double[] blocks) {
        return new CudaHistory(plan, blocks);
    }

    @Override
    public CudaUpdates updates(StateForm form) {
        CudaUpdates now = updates;
        if (now == null) {
            now = new CudaUpdates(binding, form);
            updates = now;
        }
        now.requireForm(form);
        return now;
    }

    @Override
    public @Nullable UpdateMemory updates() {
        return updates;
    }

    @Override
    public boolean isPartlyClipped() {
        return writing;
    }

    // ---- captured clips and steps -----------------------------------------------------------------------------------

    @Override
    public CudaCapture capture(ResolvedRule rule, @Nullable DeviceNorm norm, StreamHandle on) {
        // A replay overwrites the norms on the device without a call here.
        forget();
        return plan.capture(on.value(), numbers(rule), norm);
    }

    @Override
    public CudaCapture captureStep(ResolvedRule rule, Update update, StreamHandle on) {
        CudaUpdates now = updatable(update);
        forget();
        return plan.captureStep(on.value(), numbers(rule), now.state(), update);
    }

    @Override
    public void setUpdate(CudaCapture capture, Update update, StreamHandle on) {
        capture.setUpdate(on.value(), updates(StateForm.of(update)).state(), update);
    }

    @Override
    public void setRule(CudaCapture capture, ClipRule rule, StreamHandle on) {
        if (rule instanceof NormRule norm
                && norm.scope() == Scope.TENSOR
                && !binding.segments().areTensors()) {
            throw new IllegalArgumentException("the numbers of a captured " + capture.what()
                    + " of each tensor can't change where tensors have rows; capture it anew");
        }
        if (rule instanceof NormRule norm && norm.scope() == Scope.SAMPLE) {
            throw new IllegalArgumentException(
                    "the numbers of a captured " + capture.what() + " of each sample can't change; capture it anew");
        }
        CudaRule next = new CudaRule(0);
        if (rule instanceof NormRule norm) {
            next.norm(CudaRule.Granularity.ALL, norm);
        } else if (rule instanceof ValueRule value) {
            next.value(value.min(), value.max(), value.inverseScale(), value.nonFinitePolicy());
        }
        capture.setRule(on.value(), next);
    }

    @Override
    public void latest(CudaCapture capture, Figures into) {
        synchronized (plan) {
            CudaResults slot = capture.slot();
            do {
                long replay = slot.latest();
                if (capture.replays() == 0) {
                    throw new IllegalStateException(
                            "no replay has finished; launch the graph and wait for its stream first");
                }
                if (copy(slot, replay, into)) break;
            } while (true);
            into.tensors = binding.tensors();
            into.elements = binding.elements();
        }
    }

    // ---- figures ----------------------------------------------------------------------------------------------------

    @Override
    public boolean isComplete(long ofCall) {
        return plan.isComplete(ofCall);
    }

    @Override
    public void read(long ofCall, Figures into) {
        plan.await(ofCall);
        synchronized (plan) {
            if (!copy(plan.results(ofCall), ofCall, into)) throw CudaResults.gone();
        }
    }

    /** Copies a call's figures; returns false if the device began to overwrite their slot meanwhile. */
    private boolean copy(CudaResults results, long ofCall, Figures into) {
        boolean refused = results.refused(ofCall);
        int segment = results.segment(ofCall);
        double norm = results.segmentNorm(ofCall);
        into.set(
                results.globalNorm(ofCall),
                results.coefficient(ofCall),
                results.clipped(ofCall),
                results.nonFinite(ofCall),
                results.changed(ofCall));
        into.skipped = results.skipped(ofCall);
        into.threshold = results.threshold(ofCall);
        into.clippedNorm = results.clippedNorm(ofCall);
        if (!results.kept(ofCall)) return false;
        if (refused && segment < 0) throw new NonFiniteGradientException("the norm given", into.globalNorm);
        if (refused) throw binding.nonFinite(segment, norm);
        return true;
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
        return Phases.requireCurrent(ofCall, call, measuredType);
    }

    @Override
    public long address(DeviceFigure figure) {
        return plan.address(figure);
    }

    @Override
    public void clear() {
        stream.release();
        streamBefore.release();
        stream = StreamHandle.DEFAULT;
        streamBefore = StreamHandle.DEFAULT;
    }
}
