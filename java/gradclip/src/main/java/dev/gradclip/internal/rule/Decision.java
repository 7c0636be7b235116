// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.rule;

import dev.gradclip.DType;
import dev.gradclip.History;
import dev.gradclip.NormRule;
import dev.gradclip.internal.reduce.ScaledNorm;
import java.util.Arrays;

/**
 * Decides the coefficient of every segment from the norms and a rule; subclasses supply the norms.
 */
public abstract class Decision {
    /** The factor of each segment of gradients. */
    private final double[] coefficients;

    /** True if a coefficient changes elements: {@code clips} does not count unscaling, {@code changes} does. */
    private boolean clips;

    private boolean changes;

    /** True if a history skips the step. */
    private boolean skips;

    private final Recall recall = new Recall();

    /** The blocks of the rule's histories, and where the next one begins. */
    private double[] blocks = {};

    private int next;
    private boolean moves;
    private double clippedNorm = Double.NaN;

    /** What is decided for samples, which one clip after another overwrites. */
    private double[] decided = {};

    /** Starts with coefficient 1 for every segment. */
    protected Decision(int segments) {
        coefficients = new double[segments];
        leave();
    }

    protected abstract int tensors();

    /** The first segment of a tensor; for the index after the last tensor, the number of segments. */
    protected abstract int from(int tensor);

    protected abstract DType dtype(int tensor);

    /** The number of elements of a tensor; 0 if it is absent. */
    protected abstract long elements(int tensor);

    /** The norm of the unscaled segments {@code [from, to)}; the next call overwrites it. */
    protected abstract ScaledNorm norm(int from, int to);

    /** The norm of every {@code step}-th of the unscaled segments {@code [from, to)}; the next call overwrites it. */
    protected abstract ScaledNorm norm(int from, int to, int step);

    /** Returns true if a tensor's weights were measured too. */
    protected abstract boolean hasWeights(int tensor);

    protected abstract double weightsNorm(int segment);

    /** Called for each tensor with segments that are clipped, with their number; unscaling is not counted. */
    protected void clips(int tensor, int segments) {}

    public final void leave() {
        Arrays.fill(coefficients, 1);
        clips = false;
        changes = false;
        skips = false;
    }

    /**
     * Decides all coefficients; returns the factor of every gradient, or NaN if gradients have different factors.
     *
     * @param histories the blocks of the rule's histories, which this moves; not read where it has none
     * @param isFinite false if a NaN or an infinity was found, so that no history moves
     */
    public final double decide(ResolvedRule rule, double[] histories, boolean isFinite) {
        clips = false;
        changes = false;
        skips = false;
        blocks = histories;
        next = 0;
        moves = isFinite;
        if (rule.isGlobal()) {
            double decided = decideTogether(0, tensors(), rule.parts[0].normRule());
            if (!skips) return NormLimit.ofScaled(decided, rule.inverseScale);
            double unchanged = norm(from(0), from(tensors())).value();
            leave();
            clippedNorm = unchanged;
            skips = true;
            return 1;
        }
        // Tensors that no part covers are still unscaled.
        if (!rule.coversAll) assign(0, tensors(), 1, rule.inverseScale);
        for (ResolvedRule.Part part : rule.parts) {
            NormRule norm = part.normRule();
            switch (norm.scope()) {
                case ALL, GROUP -> decideTogether(part.from(), part.to(), norm);
                case TENSOR -> {
                    for (int i = part.from(); i < part.to(); i++) decideTogether(i, i + 1, norm);
                }
                case ROW -> {
                    for (int i = part.from(); i < part.to(); i++) decideRows(i, norm);
                }
                case SAMPLE -> decideSamples(part.from(), part.to(), norm);
            }
        }
        clippedNorm = Double.NaN;
        return Double.NaN;
    }

    /** Returns true if a history skips the step: all coefficients are 1, and unscaling is left out too. */
    public final boolean skips() {
        return skips;
    }

    /** The threshold that the latest history had. */
    public final double threshold() {
        return recall.threshold;
    }

    /** The factor of a segment; 1 before {@link #decide}. */
    public final double coefficient(int segment) {
        return coefficients[segment];
    }

    /** The norm over all unscaled elements after they are multiplied; NaN if they have different factors. */
    public final double clippedNorm() {
        return clippedNorm;
    }

    /** Returns true if a coefficient changes elements; unscaling is not counted. */
    public final boolean clips() {
        return clips;
    }

    /** Returns true if a coefficient changes elements; unscaling is counted. */
    public final boolean changes() {
        return changes;
    }

    private double decideTogether(int from, int to, NormRule rule) {
        long elements = 0;
        for (int i = from; i < to; i++) elements += elements(i);
        History history = rule.history();
        double ofAll = history instanceof History.AdaGc
                ? NormLimit.coefficient(rule, norm(from(0), from(tensors())), elements, 0)
                : 1;
        ScaledNorm norm = norm(from(from), from(to));
        double decided = history == null
                ? NormLimit.coefficient(rule, norm, elements, 0)
                : recalled(norm, rule, history, elements, ofAll);
        assign(from, to, decided, rule.inverseScale());
        clippedNorm = clips ? norm.valueTimes(decided) : norm.value();
        return decided;
    }

    private double recalled(ScaledNorm norm, NormRule rule, History history, long elements, double ofAll) {
        double value = norm.value();
        if (moves && value <= Recall.LARGEST) recall.step(blocks, next, rule, value, (double) elements, ofAll);
        else recall.stay(blocks, next, rule);
        next += HistoryForm.length(history);
        skips |= recall.skips;
        if (recall.ofAll) return ofAll;
        if (history instanceof History.Lagged) return recall.coefficient;
        return rule.form() == NormRule.Form.NORMALIZE
                ? NormLimit.coefficient(rule, rule.max(), rule.targetNorm() * recall.limit, norm, elements, 0)
                : NormLimit.coefficient(rule, recall.limit, rule.targetNorm(), norm, elements, 0);
    }

    private void assign(int from, int to, double decided, double inverseScale) {
        double unscaled = NormLimit.ofScaled(decided, inverseScale);
        Arrays.fill(coefficients, from(from), from(to), unscaled);
        for (int i = from; i < to; i++) {
            if (elements(i) == 0) continue;
            changes |= NormLimit.changes(unscaled, dtype(i));
            if (!NormLimit.changes(decided, dtype(i))) continue;
            clips = true;
            clips(i, from(i + 1) - from(i));
        }
    }

    private void decideRows(int tensor, NormRule rule) {
        boolean adaptive = rule.form() == NormRule.Form.ADAPTIVE;
        boolean isLimited = !adaptive || hasWeights(tensor);
        DType dtype = dtype(tensor);
        int from = from(tensor);
        int to = from(tensor + 1);
        long elements = elements(tensor) / (to - from);
        int clipped = 0;
        for (int i = from; i < to; i++) {
            double decided = isLimited
                    ? NormLimit.coefficient(rule, norm(i, i + 1), elements, adaptive ? weightsNorm(i) : 0)
                    : 1;
            coefficients[i] = NormLimit.ofScaled(decided, rule.inverseScale());
            if (elements == 0) continue;
            changes |= NormLimit.changes(coefficients[i], dtype);
            if (NormLimit.changes(decided, dtype)) clipped++;
        }
        if (clipped == 0) return;
        clips = true;
        clips(tensor, clipped);
    }

    /** Decides for samples, of each of which every tensor has one segment. */
    private void decideSamples(int firstTensor, int lastTensor, NormRule rule) {
        int from = from(firstTensor);
        int to = from(lastTensor);
        if (from == to) return;
        int samples = from(firstTensor + 1) - from;
        long elements = 0;
        for (int i = firstTensor; i < lastTensor; i++) elements += elements(i) / samples;
        if (decided.length < samples) decided = new double[samples];
        for (int i = 0; i < samples; i++) {
            decided[i] = NormLimit.coefficient(rule, norm(from + i, to, samples), elements, 0);
        }
        for (int i = firstTensor; i < lastTensor; i++) assignSamples(i, samples, rule.inverseScale());
    }

    private void assignSamples(int tensor, int samples, double inverseScale) {
        DType dtype = dtype(tensor);
        int from = from(tensor);
        boolean isEmpty = elements(tensor) == 0;
        int clipped = 0;
        for (int i = 0; i < samples; i++) {
            coefficients[from + i] = NormLimit.ofScaled(decided[i], inverseScale);
            if (isEmpty) continue;
            changes |= NormLimit.changes(coefficients[from + i], dtype);
            if (NormLimit.changes(decided[i], dtype)) clipped++;
        }
        if (clipped == 0) return;
        clips = true;
        clips(tensor, clipped);
    }
}
