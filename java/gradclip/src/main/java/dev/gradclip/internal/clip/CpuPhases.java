// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.clip;

import dev.gradclip.DType;
import dev.gradclip.NonFiniteGradientException;
import dev.gradclip.NonFinitePolicy;
import dev.gradclip.NormType;
import dev.gradclip.Update;
import dev.gradclip.ValueRule;
import dev.gradclip.internal.binding.HostBinding;
import dev.gradclip.internal.cpu.CpuPlan;
import dev.gradclip.internal.cuda.DeviceFigure;
import dev.gradclip.internal.cuda.StreamHandle;
import dev.gradclip.internal.ranks.Contribution;
import dev.gradclip.internal.ranks.RankLayout;
import dev.gradclip.internal.ranks.Shard;
import dev.gradclip.internal.ranks.Verdict;
import dev.gradclip.internal.reduce.NormKind;
import dev.gradclip.internal.reduce.ScaledNorm;
import dev.gradclip.internal.reduce.SegmentLayout;
import dev.gradclip.internal.rule.Decision;
import dev.gradclip.internal.rule.HistoryMemory;
import dev.gradclip.internal.rule.ResolvedRule;
import dev.gradclip.internal.rule.TensorRange;
import dev.gradclip.internal.update.StateForm;
import dev.gradclip.internal.update.UpdateMemory;
import org.jspecify.annotations.Nullable;

/** Measures, decides and applies for one clipper on the CPU; a {@link CpuPlan} does the work on elements. */
public final class CpuPhases implements Phases {
    private final CpuPlan plan;
    private final HostBinding binding;
    private final SegmentLayout segments;
    private final Decision decision;

    private final ScaledNorm norm = new ScaledNorm();
    private final ScaledNorm partNorm = new ScaledNorm();
    private final ScaledNorm weightsNorm = new ScaledNorm();
    private @Nullable NormType measuredType;
    private double measuredScale = 1;
    private boolean foundNonFinite;
    private @Nullable CpuUpdates updates;
    private long call;

    /** True if a clip has begun to write and has not returned normally. */
    private volatile boolean writing;

    public CpuPhases(HostBinding binding) {
        plan = binding.plan();
        this.binding = binding;
        segments = binding.segments();
        decision = new HostDecision();
        for (int i = 0; i < segments.all(); i++) plan.setCoefficient(i, 1);
    }

    @Override
    public void clip(Call clip) {
        ResolvedRule rule = clip.rule();
        Figures figures = clip.figures();
        switch (clip.kind()) {
            case CLIP -> clip(rule, false, figures);
            case APPLY -> clip(rule, true, figures);
            case DECIDE -> decide(rule, figures);
            case NORM_GIVEN -> clipWithNorm(rule, clip.globalNorm(), figures);
            case STEP -> step(rule, clip.update(), figures);
            case DECIDED -> apply(rule, clip.verdict(), figures);
            case STEP_DECIDED -> {
                if (segments.hasWeights()) step(rule, clip.verdict(), clip.update(), figures);
                else apply(rule, clip.verdict(), figures);
            }
            case NORM_ON_DEVICE ->
                throw new IllegalStateException(
                        "the gradients are in host memory, where no norm on a device is read; use clipWithNorm with "
                                + "its value");
        }
        if (clip.isDecided()) figures.threshold = clip.verdict().threshold;
        figures.tensors = binding.tensors();
        figures.elements = binding.elements();
        figures.call = call;
        if (clip.kind() != Call.Kind.DECIDE) writing = false;
    }

    @Override
    public double globalNorm(NormType type) {
        begin();
        plan.measure(type, 0, segments.gradients());
        totalAll(type, 1);
        return norm.value();
    }

    @Override
    public void measure(NormType type, TensorRange range, StreamHandle stream) {
        begin();
        plan.measure(type, segments.from(range.from()), segments.from(range.to()));
    }

    private void clip(ResolvedRule rule, boolean isMeasured, Figures figures) {
        writing = false;
        if (rule.clamps()) {
            clamp(rule, figures);
            return;
        }
        if (rule.mayWrite()) binding.requireWritable();
        if (!isMeasured && rule.isLagged()) {
            clipInOnePass(rule, figures);
            return;
        }
        if (measureForNorm(rule, isMeasured)) scale(rule, norm.value(), foundNonFinite, figures);
        else leave(figures);
    }

    /** Scales by a coefficient that does not follow from the norm, and measures on the way. */
    private void clipInOnePass(ResolvedRule rule, Figures figures) {
        begin();
        NormType type = typeOf(rule);
        // Moves nothing: the coefficient alone.
        decision.decide(rule, rule.historyBlocks(), false);
        writing = decision.changes();
        if (writing) {
            for (int i = 0; i < segments.gradients(); i++) plan.setCoefficient(i, decision.coefficient(i));
            plan.measureAndScale(type, 0, segments.gradients());
        } else {
            plan.measure(type, 0, segments.gradients());
        }
        totalAll(type, rule.inverseScale);
        foundNonFinite = !norm.isFinite();
        set(rule, norm.value(), decideBy(rule, foundNonFinite), foundNonFinite, figures);
    }

    private void decide(ResolvedRule rule, Figures figures) {
        measureFor(rule);
        foundNonFinite = !norm.isFinite();
        if (foundNonFinite && rule.policy() == NonFinitePolicy.ERROR) throw nonFinite(typeOf(rule));
        if (foundNonFinite && rule.policy() == NonFinitePolicy.SKIP) {
            leave(figures);
            return;
        }
        set(rule, norm.value(), decideBy(rule, foundNonFinite), foundNonFinite, figures);
    }

    private void step(ResolvedRule rule, Update update, Figures figures) {
        writing = false;
        CpuUpdates now = updatable(rule, update);
        if (rule.clamps()) stepByValue(rule, update, now, figures);
        else if (measureForNorm(rule, false)) stepByNorm(rule, update, now, figures);
        else leave(figures);
    }

    private CpuUpdates updatable(ResolvedRule rule, Update update) {
        CpuUpdates now = updates(StateForm.of(update));
        binding.requireUpdatable();
        if (update.zeroesGradients() || rule.policy() == NonFinitePolicy.ZERO) binding.requireWritable();
        return now;
    }

    private void stepByNorm(ResolvedRule rule, Update update, CpuUpdates now, Figures figures) {
        double coefficient = decideBy(rule, foundNonFinite);
        if (decision.skips()) {
            set(rule, norm.value(), coefficient, foundNonFinite, figures);
            return;
        }
        for (int i = 0; i < binding.size(); i++) {
            for (int s = segments.from(i); s < segments.from(i + 1); s++) {
                now.setClip(i, s, decision.coefficient(s), Double.NEGATIVE_INFINITY, Double.POSITIVE_INFINITY);
            }
        }
        writing = true;
        now.step(update);
        set(rule, norm.value(), coefficient, foundNonFinite, figures);
    }

    private void stepByValue(ResolvedRule rule, Update update, CpuUpdates now, Figures figures) {
        begin();
        foundNonFinite = false;
        if (rule.policy() != NonFinitePolicy.PROPAGATE && !heedNonFinite(rule, figures)) return;
        updateByValue(rule, update, now, figures);
    }

    private void updateByValue(ResolvedRule rule, Update update, CpuUpdates now, Figures figures) {
        now.setClips(0, binding.size(), rule.inverseScale, Double.NEGATIVE_INFINITY, Double.POSITIVE_INFINITY);
        for (ResolvedRule.Part part : rule.parts) {
            ValueRule value = part.valueRule();
            now.setClips(part.from(), part.to(), rule.inverseScale, value.min(), value.max());
        }
        writing = true;
        if (foundNonFinite) plan.zeroNonFinite(0, segments.gradients());
        long changed = now.step(update);
        figures.set(Double.NaN, Double.NaN, changed > 0, foundNonFinite, changed);
    }

    /**
     * Looks for a NaN or an infinity before a value rule; returns false where the policy leaves everything as it is.
     */
    private boolean heedNonFinite(ResolvedRule rule, Figures figures) {
        plan.measure(NormType.INF, 0, segments.gradients());
        plan.total(NormType.INF, 0, segments.gradients(), norm);
        foundNonFinite = !norm.isFinite();
        if (foundNonFinite && rule.policy() == NonFinitePolicy.ERROR) throw nonFinite(NormType.INF);
        boolean skips = foundNonFinite && rule.policy() == NonFinitePolicy.SKIP;
        if (skips) figures.setSkipped(Double.NaN, Double.NaN, true);
        return !skips;
    }

    @Override
    public HistoryMemory remember(double[] blocks) {
        return new HistoryMemory.OnHost(blocks);
    }

    @Override
    public CpuUpdates updates(StateForm form) {
        CpuUpdates now = updates;
        if (now == null) {
            now = new CpuUpdates(binding, form);
            updates = now;
        }
        now.requireForm(form);
        return now;
    }

    @Override
    public @Nullable UpdateMemory updates() {
        return updates;
    }

    private void clipWithNorm(ResolvedRule rule, double globalNorm, Figures figures) {
        writing = false;
        if (rule.mayWrite()) binding.requireWritable();
        begin();
        norm.setGiven(globalNorm);
        boolean nonFinite = !norm.isFinite();
        if (nonFinite && rule.policy() == NonFinitePolicy.ERROR) {
            throw new NonFiniteGradientException("the norm given", globalNorm);
        }
        if (nonFinite && rule.policy() == NonFinitePolicy.SKIP) leave(figures);
        else scale(rule, globalNorm, nonFinite, figures);
    }

    // ---- measure ----------------------------------------------------------------------------------------------------

    /** Measures all gradients into {@link #norm}; returns false if the policy SKIP leaves them as they are. */
    private boolean measureForNorm(ResolvedRule rule, boolean isMeasured) {
        NormType type = typeOf(rule);
        if (isMeasured) {
            begin();
            if (rule.measuresWeights) plan.measure(type, segments.gradients(), segments.all());
            totalAll(type, rule.inverseScale);
        } else {
            measureFor(rule);
        }
        foundNonFinite = !norm.isFinite();
        if (!foundNonFinite) return true;
        switch (rule.policy()) {
            case ERROR -> throw nonFinite(type);
            case SKIP -> {
                return false;
            }
            case ZERO -> {
                writing = true;
                plan.zeroNonFinite(0, segments.gradients());
                measureFor(rule);
            }
            case PROPAGATE -> {}
        }
        return true;
    }

    private static NormType typeOf(ResolvedRule rule) {
        return rule.normType == null ? NormType.INF : rule.normType;
    }

    /** Begins a call; from here on the figures of the previous call cannot be read, even if this call fails. */
    private void begin() {
        binding.requireWhole();
        call++;
        measuredType = null;
    }

    private void measureFor(ResolvedRule rule) {
        begin();
        NormType type = typeOf(rule);
        plan.measure(type, 0, rule.measuresWeights ? segments.all() : segments.gradients());
        totalAll(type, rule.inverseScale);
    }

    private void totalAll(NormType type, double scale) {
        measuredType = type;
        measuredScale = scale;
        plan.total(type, 0, segments.gradients(), norm);
        norm.multiply(scale);
    }

    /** Returns the norm of the unscaled segments {@code [from, to)}, in an object that the next call overwrites. */
    private ScaledNorm partNorm(NormType type, int from, int to) {
        plan.total(type, from, to, partNorm);
        partNorm.multiply(measuredScale);
        return partNorm;
    }

    private NonFiniteGradientException nonFinite(NormType type) {
        for (int i = 0; i < segments.gradients(); i++) {
            plan.total(type, i, i + 1, partNorm);
            if (!partNorm.isFinite()) return binding.nonFinite(i, partNorm.value());
        }
        throw new IllegalStateException("the global norm is not finite, but every tensor's is");
    }

    // ---- decide -----------------------------------------------------------------------------------------------------

    private final class HostDecision extends Decision {
        HostDecision() {
            super(segments.gradients());
        }

        @Override
        protected int tensors() {
            return binding.size();
        }

        @Override
        protected int from(int tensor) {
            return segments.from(tensor);
        }

        @Override
        protected DType dtype(int tensor) {
            return binding.shape(tensor).dtype();
        }

        @Override
        protected long elements(int tensor) {
            return binding.isPresent(tensor) ? binding.shape(tensor).length() : 0;
        }

        @Override
        protected ScaledNorm norm(int from, int to) {
            // This norm was measured already, or was given.
            if (from == 0 && to == segments.gradients()) return norm;
            return partNorm(Phases.requireMeasured(measuredType), from, to);
        }

        @Override
        protected ScaledNorm norm(int from, int to, int step) {
            plan.total(Phases.requireMeasured(measuredType), from, to, step, partNorm);
            partNorm.multiply(measuredScale);
            return partNorm;
        }

        @Override
        protected boolean hasWeights(int tensor) {
            return segments.length(tensor) > 0 && binding.isPresent(binding.size() + tensor);
        }

        @Override
        protected double weightsNorm(int segment) {
            int weights = segments.gradients() + segment;
            plan.total(Phases.requireMeasured(measuredType), weights, weights + 1, weightsNorm);
            return weightsNorm.value();
        }
    }

    // ---- apply ------------------------------------------------------------------------------------------------------

    /** Decides all coefficients; returns that of every gradient. */
    private double decideBy(ResolvedRule rule, boolean nonFinite) {
        return decision.decide(rule, rule.historyBlocks(), !nonFinite);
    }

    /** Fills in the figures of a decision. */
    private void set(ResolvedRule rule, double globalNorm, double coefficient, boolean nonFinite, Figures figures) {
        if (decision.skips()) figures.setSkipped(globalNorm, 1, nonFinite);
        else figures.set(globalNorm, coefficient, decision.clips(), nonFinite, 0);
        figures.clippedNorm = decision.clippedNorm();
        if (rule.hasHistory && rule.isGlobal() && !nonFinite) figures.threshold = decision.threshold();
    }

    /** Leaves every gradient as it is, because the policy is SKIP. */
    private void leave(Figures figures) {
        decision.leave();
        figures.setSkipped(norm.value(), 1, true);
    }

    /** Decides, and scales the gradients if any coefficient changes elements. */
    private void scale(ResolvedRule rule, double globalNorm, boolean nonFinite, Figures figures) {
        double coefficient = decideBy(rule, nonFinite);
        if (decision.changes()) {
            for (int i = 0; i < segments.gradients(); i++) plan.setCoefficient(i, decision.coefficient(i));
            scaleAll();
        }
        set(rule, globalNorm, coefficient, nonFinite, figures);
    }

    private void clamp(ResolvedRule rule, Figures figures) {
        binding.requireWritable();
        begin();
        foundNonFinite = false;
        if (rule.policy() != NonFinitePolicy.PROPAGATE && !heedNonFinite(rule, figures)) return;
        clampAll(rule, figures);
    }

    private void clampAll(ResolvedRule rule, Figures figures) {
        writing = true;
        long changed = foundNonFinite && rule.policy() == NonFinitePolicy.ZERO ? zeroNonFinite(rule) : 0;
        if (rule.inverseScale != 1) unscaleAll(rule.inverseScale);
        for (ResolvedRule.Part part : rule.parts) {
            ValueRule value = part.valueRule();
            int from = segments.from(part.from());
            int to = segments.from(part.to());
            changed += plan.clamp(from, to, value.min(), value.max());
        }
        figures.set(Double.NaN, Double.NaN, changed > 0, foundNonFinite, changed);
    }

    /**
     * Sets NaN and infinities to 0; returns the number of these elements that stay 0. An element that is then clamped
     * away from 0 is counted by the clamp.
     */
    private long zeroNonFinite(ResolvedRule rule) {
        long changed = 0;
        for (ResolvedRule.Part part : rule.parts) {
            ValueRule value = part.valueRule();
            long zeroed = plan.zeroNonFinite(segments.from(part.from()), segments.from(part.to()));
            if (value.min() <= 0 && value.max() >= 0) changed += zeroed;
        }
        if (rule.coversAll) return changed;
        // The elements that no part covers.
        return changed + plan.zeroNonFinite(0, segments.gradients());
    }

    @Override
    public boolean isPartlyClipped() {
        return writing;
    }

    private void unscaleAll(double inverseScale) {
        for (int i = 0; i < segments.gradients(); i++) plan.setCoefficient(i, inverseScale);
        scaleAll();
    }

    private void scaleAll() {
        writing = true;
        plan.scale(0, segments.gradients());
    }

    // ---- one norm over ranks ----------------------------------------------------------------------------------------

    @Override
    public void requireReady(ResolvedRule rule, @Nullable Update update) {
        if (update == null) {
            if (rule.mayWrite()) binding.requireWritable();
        } else if (segments.hasWeights()) {
            updatable(rule, update);
        } else {
            // A rank that holds nothing has no weights either, and nothing to update.
            binding.requireUpdatable();
        }
    }

    @Override
    public Contribution contribute(ResolvedRule rule, RankLayout layout, boolean zeroes) {
        writing = false;
        begin();
        if (zeroes) {
            writing = true;
            plan.zeroNonFinite(0, segments.gradients());
        }
        Contribution own = Contribution.of(rule, layout.present(binding::isPresent));
        NormType type = own.type();
        if (type == null) return own;
        plan.measure(type, 0, segments.gradients());
        int[] offsets = own.offsets();
        for (int i = 0; i < binding.size(); i++) {
            Shard shard = layout.shards().get(i);
            if (shard.isCut(NormKind.of(type))) {
                plan.cut(segments.from(i), shard.cut(), own.sums(), offsets[i]);
            } else {
                plan.sums().copyTo(segments.from(i), offsets[i + 1] - offsets[i], own.sums(), offsets[i]);
            }
        }
        return own;
    }

    /** Begins a call by what all ranks decided; returns false where they leave everything as it is. */
    private boolean begin(Verdict verdict, Figures figures) {
        begin();
        if (verdict.refusal != null) throw verdict.refusal;
        if (verdict.leaves) {
            figures.setSkipped(verdict.globalNorm, verdict.coefficient, verdict.isNonFinite);
            return false;
        }
        foundNonFinite = verdict.isNonFinite;
        return true;
    }

    private double[] coefficients(Verdict verdict) {
        double[] coefficients = new double[segments.gradients()];
        verdict.coefficients(segments, coefficients);
        return coefficients;
    }

    private void apply(ResolvedRule rule, Verdict verdict, Figures figures) {
        if (!begin(verdict, figures)) return;
        if (rule.clamps()) {
            clampAll(rule, figures);
            return;
        }
        if (verdict.changes()) {
            double[] coefficients = coefficients(verdict);
            for (int i = 0; i < coefficients.length; i++) plan.setCoefficient(i, coefficients[i]);
            scaleAll();
        }
        figures.set(verdict.globalNorm, verdict.coefficient, verdict.clips(), foundNonFinite, 0);
        figures.clippedNorm = verdict.clippedNorm();
    }

    /** Updates as {@link #step} does, by what all ranks decided. */
    private void step(ResolvedRule rule, Verdict verdict, Update update, Figures figures) {
        CpuUpdates now = updatable(rule, update);
        if (!begin(verdict, figures)) return;
        if (rule.clamps()) {
            updateByValue(rule, update, now, figures);
            return;
        }
        double[] coefficients = coefficients(verdict);
        for (int i = 0; i < binding.size(); i++) {
            for (int s = segments.from(i); s < segments.from(i + 1); s++) {
                now.setClip(i, s, coefficients[s], Double.NEGATIVE_INFINITY, Double.POSITIVE_INFINITY);
            }
        }
        writing = true;
        now.step(update);
        figures.set(verdict.globalNorm, verdict.coefficient, verdict.clips(), foundNonFinite, 0);
        figures.clippedNorm = verdict.clippedNorm();
    }

    // ---- results ----------------------------------------------------------------------------------------------------

    @Override
    public double norm(int fromSegment, int toSegment, long ofCall) {
        return partNorm(requireCurrent(ofCall), fromSegment, toSegment).value();
    }

    @Override
    public double coefficient(int segment, long ofCall) {
        requireCurrent(ofCall);
        return decision.coefficient(segment);
    }

    @Override
    public long address(DeviceFigure figure) {
        throw new IllegalStateException("the gradients are in host memory, so no device has their " + figure.what
                + "; read it from the ClipResult");
    }

    private NormType requireCurrent(long ofCall) {
        return Phases.requireCurrent(ofCall, call, measuredType);
    }
}
