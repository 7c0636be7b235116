// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.rules;

import dev.gradclip.ClipRule;
import dev.gradclip.NormType;
import dev.gradclip.cli.shell.Numbers;
import dev.gradclip.cli.shell.Refusals;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;

/** The options that choose one of three rules by its threshold, and what refines it. */
public final class ThresholdOptions extends Refusals {
    @Option(
            names = "--max-norm",
            paramLabel = "M",
            description = "scale by min(1, M / (norm + epsilon)); 0 zeroes, inf only measures")
    private @Nullable Double maxNorm;

    @Option(names = "--clip-value", paramLabel = "V", description = "clamp every element to [-V, V]")
    private @Nullable Double clipValue;

    @Option(names = "--min", paramLabel = "A", description = "clamp every element to [A, B]; -inf for no lower limit")
    private @Nullable Double min;

    @Option(names = "--max", paramLabel = "B", description = "see --min; inf for no upper limit")
    private @Nullable Double max;

    @Option(names = "--norm-type", paramLabel = "2|1|inf|P", description = "which norm --max-norm limits (default: 2)")
    private @Nullable NormType normType;

    @Option(names = "--per-tensor", description = "limit each tensor's norm instead of the norm over all")
    private boolean perTensor;

    @Option(
            names = "--epsilon",
            paramLabel = "E",
            description = "added to the norm before dividing (default: 1e-6, as PyTorch)")
    private @Nullable Double epsilon;

    /** Tells if a threshold was given. */
    boolean isGiven() {
        return maxNorm != null || clipValue != null || min != null || max != null;
    }

    /** Refuses what refines a threshold where there is none. */
    void requireUnrefined() {
        String option = refinement();
        if (option == null) return;
        throw usage(option + " needs --max-norm; with --rule, refine by --param, such as --param norm-type=1");
    }

    private @Nullable String refinement() {
        if (normType != null) return "--norm-type";
        return perTensor ? "--per-tensor" : epsilon != null ? "--epsilon" : null;
    }

    private void checkTogether() {
        boolean range = min != null || max != null;
        int thresholds = (maxNorm != null ? 1 : 0) + (clipValue != null ? 1 : 0) + (range ? 1 : 0);
        if (thresholds != 1) {
            String fault = thresholds == 0 ? "a threshold is missing" : "thresholds exclude each other";
            String others = thresholds == 0 ? "; or --rule NAME, of those that 'gradclip rules' lists" : "";
            throw usage(fault + ": give one of --max-norm M, --clip-value V, or --min A with --max B" + others);
        }
        if (range && (min == null || max == null)) {
            throw usage("--min and --max go together; inf or -inf stand for no limit");
        }
        String refinement = refinement();
        if (maxNorm == null && refinement != null) {
            throw usage(refinement + " needs --max-norm: a clamp measures no norm");
        }
    }

    /**
     * Makes the rule.
     *
     * @throws ParameterException if the options contradict each other
     * @throws IllegalArgumentException if a number is out of range
     */
    ClipRule rule() {
        checkTogether();
        if (maxNorm != null) return normRule(maxNorm);
        if (clipValue != null) {
            return ClipRule.value(Range.LIMIT.require("--clip-value", clipValue));
        }
        double low = min == null ? Double.NEGATIVE_INFINITY : min;
        double high = max == null ? Double.POSITIVE_INFINITY : max;
        if (!(low <= high)) {
            throw usage("--min must not be above --max and neither may be nan, but they are " + Numbers.typed(low)
                    + " and " + Numbers.typed(high));
        }
        return ClipRule.value(low, high);
    }

    private ClipRule normRule(double limit) {
        Range.LIMIT.require("--max-norm", limit);
        NormType type = normType == null ? NormType.L2 : normType;
        double added = epsilon == null ? ClipRule.DEFAULT_EPSILON : epsilon;
        Range.LENGTH.require("--epsilon", added);
        return perTensor
                ? ClipRule.perTensorNorm(limit).withNormType(type).withEpsilon(added)
                : ClipRule.globalNorm(limit).withNormType(type).withEpsilon(added);
    }
}
