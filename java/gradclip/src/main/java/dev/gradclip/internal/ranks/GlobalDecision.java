// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.ranks;

import dev.gradclip.DType;
import dev.gradclip.internal.reduce.ScaledNorm;
import dev.gradclip.internal.rule.Decision;

/** Decides the coefficient of every segment over all ranks, which each rank does by itself and alike. */
final class GlobalDecision extends Decision {
    private final GlobalSums sums;
    private final ScaledNorm norm = new ScaledNorm();

    GlobalDecision(GlobalSums sums) {
        super(sums.layout().gradients());
        this.sums = sums;
    }

    @Override
    protected int tensors() {
        return sums.tensors();
    }

    @Override
    protected int from(int tensor) {
        return sums.layout().from(tensor);
    }

    @Override
    protected DType dtype(int tensor) {
        return sums.dtype(tensor);
    }

    @Override
    protected long elements(int tensor) {
        return sums.elements(tensor);
    }

    @Override
    protected ScaledNorm norm(int from, int to) {
        sums.total(from, to, norm);
        return norm;
    }

    @Override
    protected ScaledNorm norm(int from, int to, int step) {
        sums.total(from, to, step, norm);
        return norm;
    }

    @Override
    protected boolean hasWeights(int tensor) {
        return false;
    }

    @Override
    protected double weightsNorm(int segment) {
        throw new IllegalStateException("weights are not measured over ranks");
    }
}
