// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import dev.gradclip.internal.CpuPlan;
import dev.gradclip.internal.DeviceFigure;
import dev.gradclip.internal.ScaledNorm;
import org.jspecify.annotations.Nullable;

/** Measure, decide, apply for one clipper on the CPU: what each rule does between the phases of a {@link CpuPlan}. */
final class ClipPhases implements Phases {
    private final CpuPlan plan;
    private final HostBinding binding;
    private final Segments segments;
    private final ClipResult.TensorNorms details;

    private final Decision decision;

    private final ScaledNorm norm = new ScaledNorm();
    private final ScaledNorm partNorm = new ScaledNorm();
    private final ScaledNorm parameterNorm = new ScaledNorm();
    private @Nullable NormType measuredType;
    private double measuredScale = 1;
    private boolean foundNonFinite;
    private long call;

    /** Whether a clip has begun to write and has not returned. */
    private volatile boolean writing;

    ClipPhases(HostBinding binding, ClipResult.TensorNorms details) {
        this.plan = binding.plan();
        this.binding = binding;
        this.details = details;
        segments = binding.segments();
        decision = new HostDecision();
        for (int i = 0; i < segments.all(); i++) plan.setCoefficient(i, 1);
    }

    @Override
    public double globalNorm(NormType type) {
        measureAll(type, 1);
        return norm.value();
    }

    @Override
    public void measure(NormType type, Group range, CudaStream stream) {
        begin();
        plan.measure(type, segments.from(range.from()), segments.from(range.to()));
    }

    @Override
    public ClipResult clipWithNorm(ResolvedRule rule, double globalNorm) {
        writing = false;
        if (rule.mayWrite()) binding.requireWritable();
        begin();
        norm.setGiven(globalNorm);
        boolean nonFinite = !norm.isFinite();
        if (nonFinite && rule.policy() == NonFinitePolicy.ERROR) {
            throw new NonFiniteGradientException("the norm given", globalNorm);
        }
        if (nonFinite && rule.policy() == NonFinitePolicy.SKIP) return untouched();
        return scale(rule, globalNorm, nonFinite);
    }

    @Override
    public ClipResult clipAsync(ResolvedRule rule, boolean isMeasured, CudaStream stream) {
        return clip(rule, isMeasured);
    }

    @Override
    public ClipResult decide(ResolvedRule rule) {
        measureFor(rule);
        foundNonFinite = !norm.isFinite();
        if (foundNonFinite && rule.policy() == NonFinitePolicy.ERROR) throw nonFinite(typeOf(rule));
        if (foundNonFinite && rule.policy() == NonFinitePolicy.SKIP) return untouched();
        double coefficient = decision.decide(rule);
        return result(norm.value(), coefficient, decision.clips, foundNonFinite, 0);
    }

    @Override
    public ClipResult decideAsync(ResolvedRule rule, CudaStream stream) {
        return decide(rule);
    }

    @Override
    public ClipResult clipWithNorm(ResolvedRule rule, DeviceNorm norm, CudaStream stream) {
        throw new IllegalStateException(
                "the gradients are in host memory, where no norm on a device is read; use clipWithNorm with its value");
    }

    @Override
    public CapturedClip capture(ResolvedRule rule, DeviceNorm norm, CudaStream stream) {
        return capture(rule, stream);
    }

    @Override
    public CapturedClip capture(ResolvedRule rule, CudaStream stream) {
        throw new IllegalStateException("the gradients are in host memory, where nothing can be captured; use clip");
    }

    @Override
    public ClipResult clip(ResolvedRule rule, boolean isMeasured) {
        writing = false;
        if (rule.clamps()) return clamp(rule);
        if (rule.mayWrite()) binding.requireWritable();
        if (!measureForNorm(rule, isMeasured)) return untouched();
        return scale(rule, norm.value(), foundNonFinite);
    }

    // ---- measure ----------------------------------------------------------------------------------------------------

    /** Measures all into {@link #norm} and heeds the policy; false where it says to leave everything as it is. */
    private boolean measureForNorm(ResolvedRule rule, boolean isMeasured) {
        NormType type = typeOf(rule);
        if (isMeasured) {
            begin();
            if (rule.measuresParameters) plan.measure(type, segments.gradients(), segments.all());
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

    /** Figures of the call before are not to be had from here on, whether or not this one ends well. */
    private void begin() {
        binding.requireWhole();
        call++;
        measuredType = null;
    }

    private void measureFor(ResolvedRule rule) {
        begin();
        NormType type = typeOf(rule);
        plan.measure(type, 0, rule.measuresParameters ? segments.all() : segments.gradients());
        totalAll(type, rule.inverseScale);
    }

    private void measureAll(NormType type, double scale) {
        begin();
        plan.measure(type, 0, segments.gradients());
        totalAll(type, scale);
    }

    private void totalAll(NormType type, double scale) {
        measuredType = type;
        measuredScale = scale;
        plan.total(type, 0, segments.gradients(), norm);
        norm.multiply(scale);
    }

    /** Of the unscaled segments {@code [from, to)}; overwritten by the next call. */
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
        throw new IllegalStateException("the total norm is not finite, but every tensor's is");
    }

    // ---- decide -----------------------------------------------------------------------------------------------------

    private final class HostDecision extends Decision {
        HostDecision() {
            super(segments.gradients());
        }

        @Override
        int tensors() {
            return binding.size();
        }

        @Override
        int from(int tensor) {
            return segments.from(tensor);
        }

        @Override
        DType dtype(int tensor) {
            return binding.shape(tensor).dtype();
        }

        @Override
        long elements(int tensor) {
            return binding.isPresent(tensor) ? binding.shape(tensor).length() : 0;
        }

        @Override
        ScaledNorm norm(int from, int to) {
            // Measured already, or given.
            if (from == 0 && to == segments.gradients()) return norm;
            return partNorm(requireMeasured(measuredType), from, to);
        }

        @Override
        boolean hasParameter(int tensor) {
            return segments.length(tensor) > 0 && binding.isPresent(binding.size() + tensor);
        }

        @Override
        double parameterNorm(int segment) {
            int parameter = segments.gradients() + segment;
            plan.total(requireMeasured(measuredType), parameter, parameter + 1, parameterNorm);
            return parameterNorm.value();
        }
    }

    // ---- apply ------------------------------------------------------------------------------------------------------

    private ClipResult untouched() {
        decision.leave();
        return result(norm.value(), 1, false, true, 0);
    }

    /** Applies the coefficients where one of them changes anything. */
    private ClipResult scale(ResolvedRule rule, double totalNorm, boolean nonFinite) {
        double coefficient = decision.decide(rule);
        if (decision.changes) {
            for (int i = 0; i < segments.gradients(); i++) plan.setCoefficient(i, decision.coefficients[i]);
            writing = true;
            plan.scale(0, segments.gradients());
        }
        return written(result(totalNorm, coefficient, decision.clips, nonFinite, 0));
    }

    private ClipResult clamp(ResolvedRule rule) {
        binding.requireWritable();
        boolean nonFinite = false;
        begin();
        boolean zeroes = false;
        if (rule.policy() != NonFinitePolicy.PROPAGATE) {
            plan.measure(NormType.INF, 0, segments.gradients());
            plan.total(NormType.INF, 0, segments.gradients(), norm);
            nonFinite = !norm.isFinite();
            if (nonFinite) {
                switch (rule.policy()) {
                    case ERROR -> throw nonFinite(NormType.INF);
                    case SKIP -> {
                        return result(Double.NaN, Double.NaN, false, true, 0);
                    }
                    default -> zeroes = true;
                }
            }
        }
        writing = true;
        long changed = zeroes ? zeroNonFinite(rule) : 0;
        if (rule.inverseScale != 1) unscaleAll(rule.inverseScale);
        for (ResolvedRule.Part part : rule.parts) {
            ValueRule value = part.valueRule();
            int from = segments.from(part.from());
            int to = segments.from(part.to());
            changed += plan.clamp(from, to, value.min(), value.max());
        }
        return written(result(Double.NaN, Double.NaN, changed > 0, nonFinite, changed));
    }

    /** How many elements become 0 and stay so: one that is then clamped away from 0 is counted there. */
    private long zeroNonFinite(ResolvedRule rule) {
        long changed = 0;
        for (ResolvedRule.Part part : rule.parts) {
            ValueRule value = part.valueRule();
            long zeroed = plan.zeroNonFinite(segments.from(part.from()), segments.from(part.to()));
            if (value.min() <= 0 && value.max() >= 0) changed += zeroed;
        }
        if (rule.coversAll) return changed;
        // Those of no part.
        return changed + plan.zeroNonFinite(0, segments.gradients());
    }

    private ClipResult written(ClipResult result) {
        writing = false;
        return result;
    }

    @Override
    public boolean isPartlyClipped() {
        return writing;
    }

    private void unscaleAll(double inverseScale) {
        for (int i = 0; i < segments.gradients(); i++) plan.setCoefficient(i, inverseScale);
        plan.scale(0, segments.gradients());
    }

    // ---- results ----------------------------------------------------------------------------------------------------

    private ClipResult result(double totalNorm, double coefficient, boolean clipped, boolean nonFinite, long changed) {
        return new ClipSnapshot(
                totalNorm,
                coefficient,
                clipped,
                nonFinite,
                binding.tensors(),
                binding.elements(),
                changed,
                details,
                call);
    }

    @Override
    public double norm(int fromSegment, int toSegment, long ofCall) {
        return partNorm(requireCurrent(ofCall), fromSegment, toSegment).value();
    }

    @Override
    public double coefficient(int segment, long ofCall) {
        requireCurrent(ofCall);
        return decision.coefficients[segment];
    }

    @Override
    public long address(DeviceFigure figure) {
        throw new IllegalStateException("the gradients are in host memory, so no device has their " + figure.what
                + "; read it from the ClipResult");
    }

    @Override
    public void clear() {}

    private NormType requireCurrent(long ofCall) {
        return requireCurrent(ofCall, call, measuredType);
    }

    /** The type that call {@code ofCall} measured, if the latest call is that one. */
    static NormType requireCurrent(long ofCall, long latest, @Nullable NormType measured) {
        if (ofCall != latest) {
            throw new IllegalStateException(
                    "the clipper has measured again since; read per-tensor figures before the next call");
        }
        return requireMeasured(measured);
    }

    private static NormType requireMeasured(@Nullable NormType measured) {
        if (measured == null) throw new IllegalStateException("this call measured no norms");
        return measured;
    }
}
