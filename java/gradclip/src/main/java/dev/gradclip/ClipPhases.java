// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import dev.gradclip.internal.CpuPlan;
import dev.gradclip.internal.ScaledNorm;
import java.util.Arrays;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** Measure, decide, apply for one clipper on the CPU: what each rule does between the phases of a {@link CpuPlan}. */
final class ClipPhases implements Phases {
    private final CpuPlan plan;
    private final HostBinding binding;
    private final ClipResult.TensorNorms details;
    private final double[] coefficients;
    private final ScaledNorm norm = new ScaledNorm();
    private final ScaledNorm tensorNorm = new ScaledNorm();
    private @Nullable NormType measuredType;
    private boolean foundNonFinite;
    private long call;

    ClipPhases(HostBinding binding, ClipResult.TensorNorms details) {
        this.plan = binding.plan();
        this.binding = binding;
        this.details = details;
        coefficients = new double[binding.size()];
    }

    @Override
    public double globalNorm(NormType type) {
        measureAll(type);
        return norm.value();
    }

    @Override
    public void measure(NormType type, Group range) {
        call++;
        measuredType = null;
        plan.measure(type, range.from(), range.to());
    }

    @Override
    public ClipResult clipWithNorm(ClipRule.GlobalNorm rule, double globalNorm) {
        if (rule.maxNorm() != Double.POSITIVE_INFINITY) binding.requireWritable();
        call++;
        measuredType = null;
        norm.set(globalNorm);
        boolean nonFinite = !norm.isFinite();
        if (nonFinite && rule.nonFinitePolicy() == NonFinitePolicy.ERROR) {
            throw new NonFiniteGradientException("the norm given", globalNorm);
        }
        if (nonFinite && rule.nonFinitePolicy() == NonFinitePolicy.SKIP) return untouched();
        return scaleAll(norm.coefficient(rule.maxNorm(), rule.epsilon()), globalNorm, nonFinite);
    }

    @Override
    public ClipResult clipAsync(ClipRule rule, CudaStream stream) {
        return clip(rule, false);
    }

    @Override
    public ClipResult decide(ClipRule.GlobalNorm rule) {
        measureAll(rule.normType());
        foundNonFinite = !norm.isFinite();
        if (foundNonFinite && rule.nonFinitePolicy() == NonFinitePolicy.ERROR) throw nonFinite(rule.normType());
        if (foundNonFinite && rule.nonFinitePolicy() == NonFinitePolicy.SKIP) return untouched();
        double coefficient = norm.coefficient(rule.maxNorm(), rule.epsilon());
        Arrays.fill(coefficients, coefficient);
        boolean changes = false;
        for (int i = 0; i < coefficients.length; i++) changes |= changes(i);
        return result(norm.value(), coefficient, changes, foundNonFinite, 0);
    }

    @Override
    public ClipResult decideAsync(ClipRule.GlobalNorm rule, CudaStream stream) {
        return decide(rule);
    }

    @Override
    public CapturedClip capture(ClipRule rule, CudaStream stream) {
        throw new IllegalStateException("the gradients are in host memory, where nothing can be captured; use clip");
    }

    @Override
    public ClipResult clip(ClipRule rule, boolean isMeasured) {
        Objects.requireNonNull(rule, "rule");
        if (rule instanceof ClipRule.GlobalNorm r) {
            if (!measureForNorm(r.normType(), r.maxNorm(), r.nonFinitePolicy(), isMeasured)) return untouched();
            return scaleAll(norm.coefficient(r.maxNorm(), r.epsilon()), norm.value(), foundNonFinite);
        }
        if (rule instanceof ClipRule.PerTensorNorm r) {
            if (!measureForNorm(r.normType(), r.maxNorm(), r.nonFinitePolicy(), isMeasured)) return untouched();
            for (int i = 0; i < coefficients.length; i++) {
                plan.total(r.normType(), i, i + 1, tensorNorm);
                coefficients[i] = tensorNorm.coefficient(r.maxNorm(), r.epsilon());
            }
            return scale(Double.NaN, norm.value(), foundNonFinite);
        }
        return clamp((ClipRule.Value) rule);
    }

    /** Measures all into {@link #norm} and heeds the policy; false where it says to leave everything as it is. */
    private boolean measureForNorm(NormType type, double maxNorm, NonFinitePolicy policy, boolean isMeasured) {
        if (maxNorm != Double.POSITIVE_INFINITY || policy == NonFinitePolicy.ZERO) binding.requireWritable();
        if (isMeasured) totalAll(type);
        else measureAll(type);
        foundNonFinite = !norm.isFinite();
        if (!foundNonFinite) return true;
        switch (policy) {
            case ERROR -> throw nonFinite(type);
            case SKIP -> {
                return false;
            }
            case ZERO -> {
                plan.zeroNonFinite();
                measureAll(type);
            }
            case PROPAGATE -> {}
        }
        return true;
    }

    private void measureAll(NormType type) {
        plan.measure(type, 0, binding.size());
        totalAll(type);
    }

    private void totalAll(NormType type) {
        call++;
        measuredType = type;
        plan.total(type, 0, binding.size(), norm);
    }

    private NonFiniteGradientException nonFinite(NormType type) {
        for (int i = 0; i < binding.size(); i++) {
            plan.total(type, i, i + 1, tensorNorm);
            if (!tensorNorm.isFinite()) return new NonFiniteGradientException(binding.name(i), tensorNorm.value());
        }
        throw new IllegalStateException("the total norm is not finite, but every tensor's is");
    }

    private ClipResult untouched() {
        Arrays.fill(coefficients, 1);
        return result(norm.value(), 1, false, true, 0);
    }

    private ClipResult scaleAll(double coefficient, double totalNorm, boolean nonFinite) {
        Arrays.fill(coefficients, coefficient);
        if (coefficient == 1) return result(totalNorm, coefficient, false, nonFinite, 0);
        return scale(coefficient, totalNorm, nonFinite);
    }

    /** Applies {@link #coefficients} where one of them changes anything. */
    private ClipResult scale(double coefficient, double totalNorm, boolean nonFinite) {
        boolean changes = false;
        for (int i = 0; i < coefficients.length; i++) {
            plan.setCoefficient(i, coefficients[i]);
            changes |= changes(i);
        }
        if (changes) plan.scale();
        return result(totalNorm, coefficient, changes, nonFinite, 0);
    }

    private boolean changes(int tensor) {
        HostBuffer shape = binding.shape(tensor);
        return binding.isPresent(tensor)
                && shape.length() > 0
                && Coefficients.changes(coefficients[tensor], shape.dtype());
    }

    private ClipResult clamp(ClipRule.Value rule) {
        binding.requireWritable();
        boolean nonFinite = false;
        long zeroed = 0;
        call++;
        measuredType = null;
        if (rule.nonFinitePolicy() != NonFinitePolicy.PROPAGATE) {
            plan.measure(NormType.INF, 0, binding.size());
            plan.total(NormType.INF, 0, binding.size(), norm);
            nonFinite = !norm.isFinite();
            if (nonFinite) {
                switch (rule.nonFinitePolicy()) {
                    case ERROR -> throw nonFinite(NormType.INF);
                    case SKIP -> {
                        return result(Double.NaN, Double.NaN, false, true, 0);
                    }
                    default -> zeroed = plan.zeroNonFinite();
                }
            }
        }
        long changed = plan.clamp(rule.min(), rule.max());
        // What was zeroed and then clamped away from 0 is counted once.
        if (rule.min() <= 0 && rule.max() >= 0) changed += zeroed;
        return result(Double.NaN, Double.NaN, changed > 0, nonFinite, changed);
    }

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
    public double norm(int from, int to, long ofCall) {
        NormType type = requireCurrent(ofCall);
        plan.total(type, from, to, tensorNorm);
        return tensorNorm.value();
    }

    @Override
    public double coefficient(int tensor, long ofCall) {
        requireCurrent(ofCall);
        return coefficients[Objects.checkIndex(tensor, coefficients.length)];
    }

    @Override
    public long coefficientAddress() {
        throw new IllegalStateException("the gradients are in host memory, so no device has their coefficient; "
                + "read it from the ClipResult");
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
        if (measured == null) throw new IllegalStateException("this call measured no norms");
        return measured;
    }
}
