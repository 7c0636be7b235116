// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import dev.gradclip.StreamedTensors.Streamed;
import dev.gradclip.internal.NormLimit;
import dev.gradclip.internal.ScaledNorm;
import dev.gradclip.internal.StreamedSums;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** What a rule makes of the norms of a stream: {@link ClipPhases}' arithmetic, over {@link StreamedSums}. */
final class StreamedDecision {
    private final ResolvedRule rule;
    private final StreamedTensors tensors;
    private final StreamedSums gradients;
    private final StreamedSums parameters;

    /** Per row; none where the rule clamps. */
    private final double[] coefficients;

    /** Per tensor, how many rows are scaled, unscaling aside. */
    private final int[] clippedRows;

    /** Per tensor; null where it is in no group of a rule per group. */
    private final @Nullable ValueRule[] clamps;

    /** What everything is multiplied by, where that is one number. */
    double coefficient;

    boolean clips;

    StreamedDecision(ResolvedRule rule, StreamedTensors tensors, StreamedSums gradients, StreamedSums parameters) {
        this.rule = rule;
        this.tensors = tensors;
        this.gradients = gradients;
        this.parameters = parameters;
        coefficients = new double[rule.clamps() ? 0 : gradients.segments()];
        clippedRows = new int[tensors.size()];
        clamps = new ValueRule[rule.clamps() ? tensors.size() : 0];
        Arrays.fill(coefficients, 1);
        coefficient = rule.clamps() ? Double.NaN : 1;
    }

    /** Until it is called, everything is left as it is. */
    void decide() {
        coefficient = Double.NaN;
        if (!rule.clamps()) assign(0, tensors.size(), 1, rule.inverseScale);
        for (ResolvedRule.Part part : rule.parts) {
            if (rule.clamps()) Arrays.fill(clamps, part.from(), part.to(), part.valueRule());
            else decide(part);
        }
    }

    private void decide(ResolvedRule.Part part) {
        NormRule limit = part.normRule();
        switch (part.scope()) {
            case ALL, GROUP -> {
                double decided = decideTogether(part.from(), part.to(), limit);
                if (rule.isGlobal()) coefficient = decided * rule.inverseScale;
            }
            case TENSOR -> {
                for (int i = part.from(); i < part.to(); i++) decideTogether(i, i + 1, limit);
            }
            case ROW -> {
                for (int i = part.from(); i < part.to(); i++) decideRows(i, limit);
            }
        }
    }

    private double decideTogether(int from, int to, NormRule limit) {
        long elements = 0;
        for (int i = from; i < to; i++) elements += tensors.get(i).length();
        double decided =
                NormLimit.coefficient(limit, norm(tensors.rowsBefore(from), tensors.rowsBefore(to)), elements, 0);
        assign(from, to, decided, limit.inverseScale());
        return decided;
    }

    private void assign(int from, int to, double decided, double inverseScale) {
        Arrays.fill(coefficients, tensors.rowsBefore(from), tensors.rowsBefore(to), decided * inverseScale);
        for (int i = from; i < to; i++) {
            Streamed tensor = tensors.get(i);
            if (tensor.length() == 0 || !Coefficients.changes(decided, tensor.dtype())) continue;
            clips = true;
            clippedRows[i] = tensor.rows();
        }
    }

    private void decideRows(int index, NormRule limit) {
        Streamed tensor = tensors.get(index);
        boolean adaptive = limit.form() == NormRule.Form.ADAPTIVE;
        if (adaptive && (tensor.length() == 0 || !tensor.hasParameter())) return;
        long elements = tensor.length() / tensor.rows();
        for (int i = tensor.firstRow(); i < tensor.endRow(); i++) {
            double parameterNorm = adaptive ? parameters.total(i, i + 1).value() : 0;
            double decided = NormLimit.coefficient(limit, norm(i, i + 1), elements, parameterNorm);
            coefficients[i] = decided * limit.inverseScale();
            if (elements > 0 && Coefficients.changes(decided, tensor.dtype())) clippedRows[index]++;
        }
        clips |= clippedRows[index] > 0;
    }

    private ScaledNorm norm(int fromRow, int toRow) {
        ScaledNorm norm = gradients.total(fromRow, toRow);
        norm.multiply(rule.inverseScale);
        return norm;
    }

    double coefficient(int row) {
        if (rule.clamps()) throw new IllegalStateException("a clamp has no coefficient");
        return coefficients[row];
    }

    /** Whether a tensor has more rows than one, each with a coefficient of its own. */
    boolean hasRowCoefficients(int tensor) {
        return tensors.get(tensor).rows() > 1 && rule.hasRowCoefficients(tensor);
    }

    /** What an element of a tensor is multiplied by. */
    double coefficientAt(int tensor, long element) {
        return coefficients[rowOf(tensor, element)];
    }

    /** How many elements from one on, or more, have its coefficient. */
    long runLength(int tensor, long element) {
        if (!hasRowCoefficients(tensor)) return Long.MAX_VALUE;
        Streamed ended = tensors.get(tensor);
        long rowLength = ended.length() / ended.rows();
        int row = rowOf(tensor, element);
        int next = row + 1;
        while (next < ended.endRow() && coefficients[next] == coefficients[row]) next++;
        return (next - ended.firstRow()) * rowLength - element;
    }

    private int rowOf(int tensor, long element) {
        Streamed ended = tensors.get(tensor);
        if (!hasRowCoefficients(tensor)) return ended.firstRow();
        return ended.firstRow() + (int) (element / (ended.length() / ended.rows()));
    }

    int clippedRows(int tensor) {
        return clippedRows[tensor];
    }

    /** What clamps a tensor; null where nothing does. Of a rule for all, tensors need not have been named. */
    @Nullable
    ValueRule clampOf(int tensor) {
        return rule.rule instanceof ValueRule all ? all : clamps[tensor];
    }
}
