// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import org.jspecify.annotations.Nullable;

/** A result that is there. */
final class ClipSnapshot extends ClipResult {
    private final double totalNorm;
    private final double coefficient;
    private final long elements;
    private final long elementsChanged;
    private final int tensors;
    private final boolean clipped;
    private final boolean nonFinite;
    private final @Nullable TensorNorms perTensor;
    private final long call;

    ClipSnapshot(
            double totalNorm,
            double coefficient,
            boolean clipped,
            boolean nonFinite,
            int tensors,
            long elements,
            long elementsChanged,
            @Nullable TensorNorms perTensor,
            long call) {
        this.totalNorm = totalNorm;
        this.coefficient = coefficient;
        this.clipped = clipped;
        this.nonFinite = nonFinite;
        this.tensors = tensors;
        this.elements = elements;
        this.elementsChanged = elementsChanged;
        this.perTensor = perTensor;
        this.call = call;
    }

    @Override
    public boolean isComplete() {
        return true;
    }

    @Override
    public double totalNorm() {
        return totalNorm;
    }

    @Override
    public double coefficient() {
        return coefficient;
    }

    @Override
    public boolean clipped() {
        return clipped;
    }

    @Override
    public boolean nonFinite() {
        return nonFinite;
    }

    @Override
    public int tensors() {
        return tensors;
    }

    @Override
    public long elements() {
        return elements;
    }

    @Override
    public long elementsChanged() {
        return elementsChanged;
    }

    @Override
    public double tensorNorm(int tensor) {
        return details().norm(tensor, call);
    }

    @Override
    public double tensorCoefficient(int tensor) {
        return details().coefficient(tensor, call);
    }

    @Override
    public double rowNorm(int tensor, int row) {
        return details().rowNorm(tensor, row, call);
    }

    @Override
    public double rowCoefficient(int tensor, int row) {
        return details().rowCoefficient(tensor, row, call);
    }

    @Override
    public double groupNorm(String group) {
        return details().groupNorm(group, call);
    }

    /** Which call of the clipper measured it. */
    long call() {
        return call;
    }

    private TensorNorms details() {
        if (perTensor == null) {
            throw new IllegalStateException("no per-tensor norms: the rule measured none, or they went with the call");
        }
        return perTensor;
    }

    @Override
    public String toString() {
        return "ClipResult[totalNorm=" + totalNorm + ", coefficient=" + coefficient + ", clipped=" + clipped
                + ", nonFinite=" + nonFinite + ", tensors=" + tensors + ", elements=" + elements
                + (elementsChanged > 0 ? ", elementsChanged=" + elementsChanged : "") + "]";
    }
}
