// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.rules;

import static dev.gradclip.cli.rules.RuleParameter.*;

import dev.gradclip.ClipRule;
import dev.gradclip.cli.shell.Numbers;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;

/** The table of all rules that the command knows; options, {@code gradclip rules} and messages follow from it. */
public final class Rules {
    private static final List<RuleParameter> CLIP = List.of(NORM_TYPE, CONVENTION, EPSILON, INVERSE_SCALE);
    private static final List<RuleParameter> DIVIDED = List.of(SCOPE, NORM_TYPE, CONVENTION, EPSILON, INVERSE_SCALE);
    private static final List<RuleParameter> SCALED = List.of(SCOPE, NORM_TYPE, CONVENTION, INVERSE_SCALE);

    public static final List<RuleSpec> ALL = List.of(
            new RuleSpec(
                    "global-norm",
                    "g · min(1, max-norm / (n + epsilon)), n over all tensors",
                    "PyTorch clip_grad_norm_, TensorFlow clip_by_global_norm; Pascanu et al. 2013",
                    List.of(MAX_NORM),
                    CLIP,
                    a -> ClipRule.globalNorm(a.number(MAX_NORM)),
                    "max-norm=1"),
            new RuleSpec(
                    "per-tensor-norm",
                    "g · min(1, max-norm / (n + epsilon)), n of each tensor",
                    "Keras clipnorm, TensorFlow clip_by_norm, DL4J ClipL2PerParamType",
                    List.of(MAX_NORM),
                    CLIP,
                    a -> ClipRule.perTensorNorm(a.number(MAX_NORM)),
                    "max-norm=1"),
            new RuleSpec(
                    "per-row-norm",
                    "g · min(1, max-norm / (n + epsilon)), n of each row",
                    "Opacus and Optax by example and layer: rows are examples",
                    List.of(MAX_NORM),
                    CLIP,
                    a -> ClipRule.perRowNorm(a.number(MAX_NORM)),
                    "max-norm=1"),
            new RuleSpec(
                    "normalize",
                    "g · length / n, up or down; n = 0 stays 0",
                    "normalized gradient descent; scope=tensor is DL4J RenormalizeL2PerParamType",
                    List.of(LENGTH),
                    SCALED,
                    a -> ClipRule.normalize(a.number(LENGTH)),
                    "length=1"),
            new RuleSpec(
                    "normalize-above",
                    "g · length / n where n > max-norm",
                    "introductions to clipping, with length=1: g / n",
                    List.of(MAX_NORM, LENGTH),
                    SCALED,
                    a -> ClipRule.normalizeAbove(a.number(MAX_NORM), a.number(LENGTH)),
                    "max-norm=5,length=1"),
            new RuleSpec(
                    "average-norm",
                    "g · min(1, max-norm / (n / elements + epsilon))",
                    "TensorFlow clip_by_average_norm",
                    List.of(MAX_NORM),
                    DIVIDED,
                    a -> ClipRule.averageNorm(a.number(MAX_NORM)),
                    "max-norm=0.001"),
            new RuleSpec(
                    "block-rms",
                    "g · min(1, max-rms / (n / √elements + epsilon))",
                    "Optax clip_by_block_rms, Adafactor",
                    List.of(MAX_RMS),
                    DIVIDED,
                    a -> ClipRule.blockRms(a.number(MAX_RMS)),
                    "max-rms=1"),
            new RuleSpec(
                    "adaptive",
                    "g · m / max(n, 1e-6) where n ≥ m = lambda · max(norm of weights, epsilon), by rows",
                    "Optax adaptive_grad_clip, timm; Brock et al. 2021",
                    List.of(LAMBDA),
                    List.of(NORM_TYPE, WEIGHTS_EPSILON, INVERSE_SCALE),
                    a -> ClipRule.adaptive(a.number(LAMBDA)),
                    "lambda=0.01"),
            new RuleSpec(
                    "value",
                    "min(max(g, min), max)",
                    "PyTorch clip_grad_value_, Keras clipvalue",
                    List.of(MAX),
                    List.of(MIN, INVERSE_SCALE),
                    Rules::value,
                    "max=0.5"),
            remembering(
                    ClipRule.autoClip(),
                    "g · min(1, c / (n + 1e-6)), c the percentile of the norms so far, n among them",
                    "Seetharaman et al. 2020, AutoClip",
                    PERCENTILE,
                    WINDOW,
                    SCOPE),
            remembering(
                    ClipRule.quantileClip(),
                    "g · min(1, c / (n + 1e-6)), c the quantile of the norms before n",
                    "the package autoclip for PyTorch",
                    FRACTION,
                    WINDOW,
                    SCOPE),
            remembering(
                    ClipRule.percentileClip(),
                    "g · min(1, c / n), c in place rank of the window's norms, n among them",
                    "bitsandbytes percentile_clipping",
                    RANK,
                    WINDOW,
                    SCOPE),
            remembering(
                    ClipRule.medianClip(),
                    "g · min(1, c / n), c = factor · median of the last period's norms",
                    "icefall ScaledAdam",
                    FACTOR,
                    PERIOD,
                    SCOPE),
            remembering(
                    ClipRule.zClip(),
                    "z = (n - mean) / (deviation + 1e-6) above z-max: to mean + z-max² · deviation / z; and to max-norm",
                    "Kumar et al. 2025, ZClip",
                    FIXED_LIMIT,
                    ALPHA,
                    Z_MAX,
                    WARM_UP,
                    SCOPE),
            remembering(
                    ClipRule.adaGc(),
                    "n above lambda · its average: to that; in the warm-up all together to max-norm",
                    "Wang et al. 2025, AdaGC",
                    FIXED_LIMIT,
                    GROWTH,
                    BETA,
                    WARM_UP,
                    SCOPE),
            remembering(
                    ClipRule.growthCap(),
                    "n above tau · the norm after the clip before: to that",
                    "NormGrowthCap of CannotWaitForTheseOptimisers.jl; Chen et al. 2024, Fira",
                    TAU,
                    FLOOR,
                    SCOPE),
            remembering(
                    ClipRule.stabilize(),
                    "g / n · mean of n / (√mean of n² + 1e-12), up or down",
                    "GradientStabilizer, arXiv 2502.17055",
                    BETA1,
                    BETA2,
                    SCOPE),
            new RuleSpec(
                    "lagged",
                    "g · min(1, max-norm / (e + 1e-6)), e the average of the norms before n",
                    "this library's own: one pass over the gradients",
                    List.of(MAX_NORM),
                    List.of(BETA, NORM_TYPE, INVERSE_SCALE),
                    a -> ClipRule.laggedNorm(a.number(MAX_NORM)),
                    "max-norm=1"),
            new RuleSpec(
                    "skip-above",
                    "nothing changes where n > norm; else g · min(1, max-norm / (n + 1e-6))",
                    "Megatron-LM",
                    List.of(SKIP_NORM),
                    List.of(FIXED_LIMIT, NORM_TYPE, INVERSE_SCALE),
                    a -> ClipRule.skipAbove(a.number(SKIP_NORM)),
                    "norm=10"),
            remembering(
                    ClipRule.skipSpikes(),
                    "nothing changes where n is sigmas deviations above the mean of the window; else as skip-above",
                    "OLMo-core SkipStepOptimizer",
                    FIXED_LIMIT,
                    SIGMAS,
                    WINDOW,
                    LEAST));

    /** A rule with a history, none of whose numbers is required. */
    private static RuleSpec remembering(ClipRule rule, String formula, String source, RuleParameter... numbers) {
        List<RuleParameter> optional = new ArrayList<>(List.of(numbers));
        optional.addAll(List.of(NORM_TYPE, INVERSE_SCALE));
        return new RuleSpec(rule.name(), formula, source, List.of(), optional, arguments -> rule, "");
    }

    private Rules() {}

    /** Makes a clamp; the lower limit is the negative of the upper one unless it is given. */
    private static ClipRule value(RuleArguments arguments) {
        double max = arguments.number(MAX);
        if (arguments.text(MIN) != null) return value(arguments.number(MIN), max);
        if (max >= 0) return ClipRule.value(max);
        throw new IllegalArgumentException(
                "max must be 0 or more where min is not given, but is " + Numbers.typed(max));
    }

    private static ClipRule value(double min, double max) {
        if (min <= max) return ClipRule.value(min, max);
        throw new IllegalArgumentException(
                "min must not be above max, but they are " + Numbers.typed(min) + " and " + Numbers.typed(max));
    }

    static boolean isKnown(String name) {
        return ALL.stream().anyMatch(rule -> rule.name().equals(name));
    }

    /**
     * Finds a rule by its name.
     *
     * @throws IllegalArgumentException listing the known ones
     */
    public static RuleSpec find(String name) {
        for (RuleSpec rule : ALL) if (rule.name().equals(name)) return rule;
        throw new IllegalArgumentException("there is no rule '" + name + "'; the rules are " + names());
    }

    static String names() {
        return ALL.stream().map(RuleSpec::name).collect(Collectors.joining(", "));
    }
}
