// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.rule;

import static dev.gradclip.internal.rule.HistoryForm.A;
import static dev.gradclip.internal.rule.HistoryForm.B;
import static dev.gradclip.internal.rule.HistoryForm.FIRST;
import static dev.gradclip.internal.rule.HistoryForm.FORM;
import static dev.gradclip.internal.rule.HistoryForm.FOURTH;
import static dev.gradclip.internal.rule.HistoryForm.NORMS;
import static dev.gradclip.internal.rule.HistoryForm.SECOND;
import static dev.gradclip.internal.rule.HistoryForm.STEPS;
import static dev.gradclip.internal.rule.HistoryForm.THIRD;
import static dev.gradclip.internal.rule.HistoryForm.THRESHOLD;
import static dev.gradclip.internal.rule.HistoryForm.WINDOW;

import dev.gradclip.NormRule;
import dev.gradclip.Scope;

/**
 * One step of a history: the threshold that follows from what it holds, and what it keeps of the step's norm. It is the
 * specification of cuda/src/kernels/recall.cuh, which has the same bits: only + - · / √ and comparisons, in one order. A
 * new form is one more case in both.
 */
final class Recall {
    private static final HistoryForm[] FORMS = HistoryForm.values();

    /** What ZClip adds to a standard deviation in z. */
    private static final double Z_EPSILON = 1e-6;

    /** Larger norms, of FLOAT64 alone, move no history: their squares would overflow. */
    static final double LARGEST = 0x1p500;

    /** Numbers of norms, below a period, whose median is taken as well, twice as wide. */
    private static final int[] EARLY = {10, 20, 40};

    private double[] block = {};
    private int at;

    /** The threshold of this step; infinity where it limits nothing. A target of rules that normalize. */
    double limit;

    /** What the norm was compared with; infinity where nothing was. */
    double threshold;

    /** True if the step is skipped. */
    boolean skips;

    /** True if the limit is compared with the norm over all tensors. */
    boolean ofAll;

    /** The coefficient where that does not follow from the step's norm; else NaN. */
    double coefficient;

    /** Takes the threshold of the latest step, and moves nothing. */
    void stay(double[] blocks, int from, NormRule rule) {
        double before = blocks[from + THRESHOLD];
        boolean skipping = FORMS[(int) blocks[from + FORM]] == HistoryForm.SKIP_ABOVE
                || FORMS[(int) blocks[from + FORM]] == HistoryForm.SKIP_SPIKES;
        boolean isTarget = rule.form() == NormRule.Form.NORMALIZE;
        limit = skipping ? rule.max() : isTarget ? before : least(before, rule.max());
        threshold = before;
        skips = false;
        ofAll = false;
        boolean lags = FORMS[(int) blocks[from + FORM]] == HistoryForm.LAGGED;
        coefficient = lags ? lagged(rule, blocks[from + STEPS], blocks[from + FIRST]) : Double.NaN;
    }

    private static double lagged(NormRule rule, double before, double average) {
        return before == 0 ? 1 : least(1, rule.max() / (average + rule.epsilon()));
    }

    /**
     * Takes a step.
     *
     * @param norm the norm of the unscaled elements, finite
     * @param elements their number
     * @param ofAllTensors the coefficient of the fixed limit by the norm over all tensors
     */
    void step(double[] blocks, int from, NormRule rule, double norm, double elements, double ofAllTensors) {
        double max = rule.max();
        double epsilon = rule.epsilon();
        block = blocks;
        at = from;
        skips = false;
        ofAll = false;
        coefficient = Double.NaN;
        double before = get(STEPS);
        switch (FORMS[(int) get(FORM)]) {
            case AUTO_CLIP -> {
                keep(norm, before);
                limit = least(quantile(before + 1), max);
                set(THRESHOLD, limit);
            }
            case QUANTILE -> {
                limit = before == 0 ? max : least(quantile(before), max);
                keep(norm, before);
                set(THRESHOLD, limit);
            }
            case PERCENTILE -> {
                if (before == 0) fill(norm);
                keep(norm, before + get(WINDOW));
                limit = least(sorted((int) get(A)), max);
                set(THRESHOLD, limit);
            }
            case MEDIAN -> median(norm, before, max);
            case Z_CLIP -> zClip(norm, before, max);
            case ADA_GC -> adaGc(norm, before, max, rule.scope() == Scope.ALL ? least(norm, max) : norm * ofAllTensors);
            case GROWTH_CAP -> growthCap(norm, max, epsilon, elements);
            case STABILIZER -> stabilize(norm, epsilon);
            case SKIP_ABOVE -> {
                limit = max;
                skips = norm > get(A);
                set(THRESHOLD, get(A));
            }
            case SKIP_SPIKES -> {
                limit = max;
                skipSpike(norm, before);
            }
            case LAGGED -> {
                limit = max;
                coefficient = lagged(rule, before, get(FIRST));
                set(FIRST, before == 0 ? norm : get(A) * get(FIRST) + (1 - get(A)) * norm);
                set(THRESHOLD, max);
            }
        }
        set(STEPS, before + 1);
        threshold = get(THRESHOLD);
    }

    private double get(int field) {
        return block[at + field];
    }

    private void set(int field, double value) {
        block[at + field] = value;
    }

    private static double least(double a, double b) {
        return a < b ? a : b;
    }

    // ---- norms in ascending order -----------------------------------------------------------------------------------

    private double sorted(int place) {
        return block[at + NORMS + (int) get(WINDOW) + place];
    }

    /** Keeps a norm after so many others, in place of the oldest where the window is full. */
    private void keep(double norm, double before) {
        int window = (int) get(WINDOW);
        int ring = at + NORMS;
        int from = ring + window;
        int next = (int) (before % window);
        int count = before < window ? (int) before : window;
        int to = lowerBound(from, count, norm);
        if (count < window) {
            System.arraycopy(block, from + to, block, from + to + 1, count - to);
        } else {
            int gone = lowerBound(from, count, block[ring + next]);
            if (gone < to) {
                to--;
                System.arraycopy(block, from + gone + 1, block, from + gone, to - gone);
            } else {
                System.arraycopy(block, from + to, block, from + to + 1, gone - to);
            }
        }
        block[from + to] = norm;
        block[ring + next] = norm;
    }

    /** Fills the window with one norm. */
    private void fill(double norm) {
        int window = (int) get(WINDOW);
        for (int i = 0; i < 2 * window; i++) block[at + NORMS + i] = norm;
    }

    /** The number of entries below a norm. */
    private int lowerBound(int from, int count, double norm) {
        int low = 0;
        int high = count;
        while (low < high) {
            int middle = (low + high) / 2;
            if (block[from + middle] < norm) low = middle + 1;
            else high = middle;
        }
        return low;
    }

    /** A quantile of the norms kept, of which there were so many; between two by a straight line, as NumPy has it. */
    private double quantile(double kept) {
        double window = get(WINDOW);
        double last = (kept < window ? kept : window) - 1;
        double place = get(A) * last;
        double below = Math.floor(place);
        double weight = place - below;
        double low = sorted((int) below);
        double high = sorted((int) (below < last ? below + 1 : last));
        double range = high - low;
        return weight < 0.5 ? low + range * weight : high - range * (1 - weight);
    }

    // ---- each form --------------------------------------------------------------------------------------------------

    /** FIRST: the number of norms of this period. The first step's norm is none of them. */
    private void median(double norm, double before, double max) {
        if (before > 0) {
            int from = at + NORMS;
            int count = (int) get(FIRST);
            int to = lowerBound(from, count, norm);
            System.arraycopy(block, from + to, block, from + to + 1, count - to);
            block[from + to] = norm;
            count++;
            int period = (int) get(WINDOW);
            boolean early = false;
            for (int step : EARLY) early |= step < period && before == step;
            if (early || count == period) {
                int middle = count / 4 * 2;
                double threshold = get(A) * block[from + (middle < count ? middle : count - 1)];
                set(THRESHOLD, early ? threshold * 2 : threshold);
            }
            set(FIRST, count == period ? 0 : count);
        }
        limit = least(get(THRESHOLD), max);
    }

    /** FIRST: μ; SECOND: σ². */
    private void zClip(double norm, double before, double max) {
        int warmUp = (int) get(WINDOW);
        double alpha = get(A);
        double zMax = get(B);
        if (before < warmUp) {
            int from = at + NORMS;
            block[from + (int) before] = norm;
            limit = max;
            set(THRESHOLD, max);
            if (before + 1 < warmUp) return;
            double mean = mean(from, warmUp);
            set(FIRST, mean);
            set(SECOND, squares(from, warmUp, mean) / warmUp);
            return;
        }
        double mean = get(FIRST);
        double deviation = Math.sqrt(get(SECOND));
        double z = (norm - mean) / (deviation + Z_EPSILON);
        double kept = z > zMax ? mean + zMax * deviation / (z / zMax) : norm;
        double threshold = least(kept, max);
        limit = norm > threshold ? threshold : Double.POSITIVE_INFINITY;
        set(THRESHOLD, least(z > zMax ? kept : mean + zMax * (deviation + Z_EPSILON), max));
        double next = alpha * mean + (1 - alpha) * kept;
        double apart = kept - next;
        set(FIRST, next);
        set(SECOND, alpha * get(SECOND) + (1 - alpha) * (apart * apart));
    }

    /** FIRST: γ, 0 before a norm above 0. */
    private void adaGc(double norm, double before, double max, double clipped) {
        double gamma = get(FIRST);
        if (before < get(WINDOW)) {
            limit = max;
            ofAll = true;
            set(THRESHOLD, max);
            if (clipped > 0 && (gamma == 0 || clipped < gamma)) set(FIRST, clipped);
            return;
        }
        if (gamma == 0) {
            limit = Double.POSITIVE_INFINITY;
            set(FIRST, norm);
            return;
        }
        double most = get(A) * gamma;
        boolean clips = norm > most;
        limit = clips ? most : Double.POSITIVE_INFINITY;
        set(THRESHOLD, most);
        set(FIRST, get(B) * gamma + (1 - get(B)) * (clips ? most : norm));
    }

    /** FIRST: the norm after the clip before. */
    private void growthCap(double norm, double max, double epsilon, double elements) {
        double last = get(FIRST);
        boolean free = last == 0 || norm < get(B) * Math.sqrt(elements);
        double most = get(A) * last;
        boolean grows = !free && norm / (last + epsilon) > get(A);
        limit = least(grows ? most : Double.POSITIVE_INFINITY, max);
        set(THRESHOLD, least(free ? Double.POSITIVE_INFINITY : most, max));
        double factor = limit / (norm + epsilon);
        set(FIRST, factor < 1 ? norm * factor : norm);
    }

    /** FIRST: μ; SECOND: ν; THIRD and FOURTH: the products of their betas. */
    private void stabilize(double norm, double epsilon) {
        if (norm == 0) {
            limit = get(THRESHOLD);
            return;
        }
        set(FIRST, get(A) * get(FIRST) + (1 - get(A)) * norm);
        set(SECOND, get(B) * get(SECOND) + (1 - get(B)) * (norm * norm));
        set(THIRD, get(THIRD) * get(A));
        set(FOURTH, get(FOURTH) * get(B));
        double average = get(FIRST) / (1 - get(THIRD));
        limit = average / (Math.sqrt(get(SECOND) / (1 - get(FOURTH))) + epsilon);
        set(THRESHOLD, limit);
    }

    private void skipSpike(double norm, double before) {
        int window = (int) get(WINDOW);
        int from = at + NORMS;
        int count = before < window ? (int) before : window;
        if (count + 1 >= get(B)) {
            double mean = mean(from, count);
            double most = get(A) * Math.sqrt(squares(from, count, mean) / (count - 1));
            skips = norm - mean > most;
            set(THRESHOLD, mean + most);
        }
        block[from + (int) (before % window)] = norm;
    }

    private double mean(int from, int count) {
        double sum = 0;
        for (int i = 0; i < count; i++) sum += block[from + i];
        return sum / count;
    }

    private double squares(int from, int count, double mean) {
        double sum = 0;
        for (int i = 0; i < count; i++) {
            double apart = block[from + i] - mean;
            sum += apart * apart;
        }
        return sum;
    }
}
