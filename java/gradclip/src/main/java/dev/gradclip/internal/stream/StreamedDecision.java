// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.stream;

import dev.gradclip.DType;
import dev.gradclip.ValueRule;
import dev.gradclip.internal.reduce.ScaledNorm;
import dev.gradclip.internal.rule.Decision;
import dev.gradclip.internal.rule.ResolvedRule;
import dev.gradclip.internal.stream.StreamedTensors.Streamed;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** Decides the coefficient of each row of a streaming clip from the norms measured. */
public final class StreamedDecision extends Decision {
    private final ResolvedRule rule;
    private final StreamedTensors tensors;
    private final StreamedSums gradients;
    private final StreamedSums weights;

    /** The number of clipped rows of each tensor; unscaling is not counted. */
    private final int[] clippedRows;

    /** The value rule of each tensor; null if the tensor is in no group of a {@link dev.gradclip.GroupRule}. */
    private final @Nullable ValueRule[] clamps;

    private double coefficient;

    /** Prepares a decision about the tensors that have ended; {@link #decide(boolean)} makes it. */
    public StreamedDecision(ResolvedRule rule, StreamedTensors tensors, StreamedSums gradients, StreamedSums weights) {
        // A value rule has no coefficients.
        super(rule.clamps() ? 0 : gradients.segments());
        this.rule = rule;
        this.tensors = tensors;
        this.gradients = gradients;
        this.weights = weights;
        clippedRows = new int[tensors.size()];
        clamps = new ValueRule[rule.clamps() ? tensors.size() : 0];
        coefficient = rule.clamps() ? Double.NaN : 1;
    }

    /** The factor of every gradient; NaN if gradients have different factors. */
    public double coefficient() {
        return coefficient;
    }

    /**
     * Decides; without this call the coefficients are 1 and nothing is clamped.
     *
     * @param isFinite false if a NaN or an infinity was found, so that no history moves
     */
    public void decide(boolean isFinite) {
        if (!rule.clamps()) {
            coefficient = decide(rule, rule.historyBlocks(), isFinite);
            return;
        }
        for (ResolvedRule.Part part : rule.parts) Arrays.fill(clamps, part.from(), part.to(), part.valueRule());
    }

    @Override
    protected int tensors() {
        return tensors.size();
    }

    @Override
    protected int from(int tensor) {
        return tensors.rowsBefore(tensor);
    }

    @Override
    protected DType dtype(int tensor) {
        return tensors.get(tensor).dtype();
    }

    @Override
    protected long elements(int tensor) {
        return tensors.get(tensor).length();
    }

    @Override
    protected ScaledNorm norm(int fromRow, int toRow) {
        ScaledNorm norm = gradients.total(fromRow, toRow);
        norm.multiply(rule.inverseScale);
        return norm;
    }

    @Override
    protected ScaledNorm norm(int fromRow, int toRow, int step) {
        ScaledNorm norm = gradients.total(fromRow, toRow, step);
        norm.multiply(rule.inverseScale);
        return norm;
    }

    @Override
    protected boolean hasWeights(int tensor) {
        return tensors.get(tensor).hasWeights() && tensors.get(tensor).length() > 0;
    }

    @Override
    protected double weightsNorm(int row) {
        return weights.total(row, row + 1).value();
    }

    @Override
    protected void clips(int tensor, int rows) {
        clippedRows[tensor] = rows;
    }

    /** The factor of a row. */
    public double rowCoefficient(int row) {
        if (rule.clamps()) throw new IllegalStateException("a clamp has no coefficient");
        return coefficient(row);
    }

    /** Returns true if a tensor has several rows, each with a coefficient of its own. */
    public boolean hasRowCoefficients(int tensor) {
        return tensors.get(tensor).rows() > 1 && rule.hasRowCoefficients(tensor);
    }

    /** The factor of an element of a tensor. */
    double coefficientAt(int tensor, long element) {
        return coefficient(rowOf(tensor, element));
    }

    /** The number of elements from this one on with the same coefficient, or a number beyond the tensor's end. */
    long runLength(int tensor, long element) {
        if (!hasRowCoefficients(tensor)) return Long.MAX_VALUE;
        Streamed ended = tensors.get(tensor);
        long rowLength = ended.length() / ended.rows();
        int row = rowOf(tensor, element);
        int next = row + 1;
        while (next < ended.endRow() && coefficient(next) == coefficient(row)) next++;
        return (next - ended.firstRow()) * rowLength - element;
    }

    private int rowOf(int tensor, long element) {
        Streamed ended = tensors.get(tensor);
        if (!hasRowCoefficients(tensor)) return ended.firstRow();
        return ended.firstRow() + (int) (element / (ended.length() / ended.rows()));
    }

    /** The number of clipped rows of a tensor; unscaling is not counted. */
    public int clippedRows(int tensor) {
        return clippedRows[tensor];
    }

    /** The value rule of a tensor, or null; a rule for all tensors also applies to tensors that have not ended. */
    @Nullable
    ValueRule clampOf(int tensor) {
        return rule.rule instanceof ValueRule all ? all : clamps[tensor];
    }
}
