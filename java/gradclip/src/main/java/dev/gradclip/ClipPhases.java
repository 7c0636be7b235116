// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import dev.gradclip.internal.CpuPlan;
import dev.gradclip.internal.NormLimit;
import dev.gradclip.internal.ScaledNorm;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** Measure, decide, apply for one clipper on the CPU: what each rule does between the phases of a {@link CpuPlan}. */
final class ClipPhases implements Phases {
    private final CpuPlan plan;
    private final HostBinding binding;
    private final Segments segments;
    private final ClipResult.TensorNorms details;

    /** Per segment, of parameters too: those stay 1. */
    private final double[] coefficients;

    private final ScaledNorm norm = new ScaledNorm();
    private final ScaledNorm partNorm = new ScaledNorm();
    private final ScaledNorm parameterNorm = new ScaledNorm();
    private @Nullable NormType measuredType;
    private double measuredScale = 1;
    private boolean foundNonFinite;

    /** Whether a coefficient, but for unscaling, changes elements; and with unscaling. */
    private boolean clips;

    private boolean changes;
    private long call;

    ClipPhases(HostBinding binding, ClipResult.TensorNorms details) {
        this.plan = binding.plan();
        this.binding = binding;
        this.details = details;
        segments = binding.segments();
        coefficients = new double[segments.all()];
        Arrays.fill(coefficients, 1);
        for (int i = 0; i < coefficients.length; i++) plan.setCoefficient(i, 1);
    }

    @Override
    public double globalNorm(NormType type) {
        measureAll(type, 1);
        return norm.value();
    }

    @Override
    public void measure(NormType type, Group range) {
        call++;
        measuredType = null;
        plan.measure(type, segments.from(range.from()), segments.from(range.to()));
    }

    @Override
    public ClipResult clipWithNorm(ResolvedRule rule, double globalNorm) {
        if (rule.mayWrite()) binding.requireWritable();
        call++;
        measuredType = null;
        norm.set(globalNorm);
        boolean nonFinite = !norm.isFinite();
        if (nonFinite && rule.policy() == NonFinitePolicy.ERROR) {
            throw new NonFiniteGradientException("the norm given", globalNorm);
        }
        if (nonFinite && rule.policy() == NonFinitePolicy.SKIP) return untouched();
        return scaleAll(rule, globalNorm, nonFinite);
    }

    @Override
    public ClipResult clipAsync(ResolvedRule rule, CudaStream stream) {
        return clip(rule, false);
    }

    @Override
    public ClipResult decide(ResolvedRule rule) {
        measureFor(rule);
        foundNonFinite = !norm.isFinite();
        if (foundNonFinite && rule.policy() == NonFinitePolicy.ERROR) throw nonFinite(typeOf(rule));
        if (foundNonFinite && rule.policy() == NonFinitePolicy.SKIP) return untouched();
        double coefficient = decideAll(rule.parts[0].normRule());
        return result(norm.value(), coefficient, clips, foundNonFinite, 0);
    }

    @Override
    public ClipResult decideAsync(ResolvedRule rule, CudaStream stream) {
        return decide(rule);
    }

    @Override
    public CapturedClip capture(ResolvedRule rule, CudaStream stream) {
        throw new IllegalStateException("the gradients are in host memory, where nothing can be captured; use clip");
    }

    @Override
    public ClipResult clip(ResolvedRule rule, boolean isMeasured) {
        if (rule.clamps()) return clamp(rule);
        if (rule.mayWrite()) binding.requireWritable();
        if (!measureForNorm(rule, isMeasured)) return untouched();
        if (rule.isGlobal()) return scaleAll(rule, norm.value(), foundNonFinite);
        decideParts(rule);
        return scale(Double.NaN, norm.value(), foundNonFinite);
    }

    // ---- measure ----------------------------------------------------------------------------------------------------

    /** Measures all into {@link #norm} and heeds the policy; false where it says to leave everything as it is. */
    private boolean measureForNorm(ResolvedRule rule, boolean isMeasured) {
        NormType type = typeOf(rule);
        if (isMeasured) {
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

    private void measureFor(ResolvedRule rule) {
        NormType type = typeOf(rule);
        plan.measure(type, 0, rule.measuresParameters ? segments.all() : segments.gradients());
        totalAll(type, rule.inverseScale);
    }

    private void measureAll(NormType type, double scale) {
        plan.measure(type, 0, segments.gradients());
        totalAll(type, scale);
    }

    private void totalAll(NormType type, double scale) {
        call++;
        measuredType = type;
        measuredScale = scale;
        total(0, binding.size(), norm);
    }

    /** The norm of unscaled tensors. */
    private void total(int from, int to, ScaledNorm into) {
        plan.total(requireMeasured(measuredType), segments.from(from), segments.from(to), into);
        into.multiply(measuredScale);
    }

    private NonFiniteGradientException nonFinite(NormType type) {
        for (int i = 0; i < binding.size(); i++) {
            plan.total(type, segments.from(i), segments.from(i + 1), partNorm);
            if (!partNorm.isFinite()) return new NonFiniteGradientException(binding.name(i), partNorm.value());
        }
        throw new IllegalStateException("the total norm is not finite, but every tensor's is");
    }

    // ---- decide -----------------------------------------------------------------------------------------------------

    /** One coefficient, of {@link #norm}. */
    private double decideAll(NormRule limit) {
        double coefficient = NormLimit.coefficient(limit, norm, binding.elements(), 0);
        clips = false;
        changes = false;
        assign(0, binding.size(), coefficient, limit.inverseScale());
        return coefficient * limit.inverseScale();
    }

    private void decideParts(ResolvedRule rule) {
        clips = false;
        changes = false;
        // What no part covers is unscaled all the same.
        if (!rule.coversAll) assign(0, binding.size(), 1, rule.inverseScale);
        for (ResolvedRule.Part part : rule.parts) {
            NormRule limit = part.normRule();
            switch (part.scope()) {
                case ALL, GROUP -> decideTogether(part.from(), part.to(), limit);
                case TENSOR -> {
                    for (int i = part.from(); i < part.to(); i++) decideTogether(i, i + 1, limit);
                }
                case ROW -> {
                    for (int i = part.from(); i < part.to(); i++) decideRows(i, limit);
                }
            }
        }
    }

    private void decideTogether(int from, int to, NormRule limit) {
        total(from, to, partNorm);
        long elements = 0;
        for (int i = from; i < to; i++) {
            if (binding.isPresent(i)) elements += binding.shape(i).length();
        }
        assign(from, to, NormLimit.coefficient(limit, partNorm, elements, 0), limit.inverseScale());
    }

    private void decideRows(int tensor, NormRule limit) {
        boolean present = binding.isPresent(tensor);
        boolean adaptive = limit.form() == NormRule.Form.ADAPTIVE;
        DType dtype = binding.shape(tensor).dtype();
        long elements = present ? segments.length(tensor) : 0;
        boolean isLimited = !adaptive || (segments.length(tensor) > 0 && binding.isPresent(binding.size() + tensor));
        NormType type = requireMeasured(measuredType);
        for (int i = segments.from(tensor); i < segments.from(tensor + 1); i++) {
            double coefficient = 1;
            if (isLimited) {
                plan.total(type, i, i + 1, partNorm);
                partNorm.multiply(measuredScale);
                if (adaptive) plan.total(type, segments.gradients() + i, segments.gradients() + i + 1, parameterNorm);
                coefficient = NormLimit.coefficient(limit, partNorm, elements, adaptive ? parameterNorm.value() : 0);
            }
            coefficients[i] = coefficient * limit.inverseScale();
            if (elements == 0) continue;
            clips |= Coefficients.changes(coefficient, dtype);
            changes |= Coefficients.changes(coefficients[i], dtype);
        }
    }

    private void assign(int from, int to, double coefficient, double inverseScale) {
        double unscaled = coefficient * inverseScale;
        Arrays.fill(coefficients, segments.from(from), segments.from(to), unscaled);
        for (int i = from; i < to; i++) {
            HostBuffer shape = binding.shape(i);
            if (!binding.isPresent(i) || shape.length() == 0) continue;
            clips |= Coefficients.changes(coefficient, shape.dtype());
            changes |= Coefficients.changes(unscaled, shape.dtype());
        }
    }

    // ---- apply ------------------------------------------------------------------------------------------------------

    private ClipResult untouched() {
        Arrays.fill(coefficients, 0, segments.gradients(), 1);
        return result(norm.value(), 1, false, true, 0);
    }

    private ClipResult scaleAll(ResolvedRule rule, double totalNorm, boolean nonFinite) {
        double coefficient = decideAll(rule.parts[0].normRule());
        return scale(coefficient, totalNorm, nonFinite);
    }

    /** Applies {@link #coefficients} where one of them changes anything. */
    private ClipResult scale(double coefficient, double totalNorm, boolean nonFinite) {
        if (changes) {
            for (int i = 0; i < segments.gradients(); i++) plan.setCoefficient(i, coefficients[i]);
            plan.scale(0, segments.gradients());
        }
        return result(totalNorm, coefficient, clips, nonFinite, 0);
    }

    private ClipResult clamp(ResolvedRule rule) {
        binding.requireWritable();
        boolean nonFinite = false;
        call++;
        measuredType = null;
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
        long changed = zeroes ? zeroNonFinite(rule) : 0;
        if (rule.inverseScale != 1) unscaleAll(rule.inverseScale);
        for (ResolvedRule.Part part : rule.parts) {
            ValueRule value = part.valueRule();
            int from = segments.from(part.from());
            int to = segments.from(part.to());
            changed += plan.clamp(from, to, value.min(), value.max());
        }
        return result(Double.NaN, Double.NaN, changed > 0, nonFinite, changed);
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
        plan.total(requireCurrent(ofCall), fromSegment, toSegment, partNorm);
        partNorm.multiply(measuredScale);
        return partNorm.value();
    }

    @Override
    public double coefficient(int segment, long ofCall) {
        requireCurrent(ofCall);
        return coefficients[segment];
    }

    @Override
    public long coefficientAddress() {
        throw onHost("coefficient");
    }

    @Override
    public long nonFiniteAddress() {
        throw onHost("finding");
    }

    private static IllegalStateException onHost(String what) {
        return new IllegalStateException(
                "the gradients are in host memory, so no device has their " + what + "; read it from the ClipResult");
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
