// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.rules;

import dev.gradclip.ClipRule;
import dev.gradclip.NonFinitePolicy;
import dev.gradclip.cli.shell.Refusals;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;

/** The options that choose a rule by its name, or one for each group of tensors, and those that any rule takes. */
public final class RuleOptions extends Refusals {
    @Option(names = "--rule", paramLabel = "NAME", description = "a rule by name; 'gradclip rules' lists them")
    private @Nullable String rule;

    @Option(
            names = "--param",
            paramLabel = "K=V",
            description = "a parameter of --rule; once for each, 'gradclip rules NAME' lists them")
    private List<String> params = new ArrayList<>();

    @Option(
            names = "--group",
            paramLabel = "REGEX=RULE[,K=V…]",
            description = "a rule for the tensors whose whole name matches; may be given again, the first that matches"
                    + " counts, other tensors are left as they are")
    private List<String> groups = new ArrayList<>();

    @Option(
            names = "--parameters",
            paramLabel = "FILE",
            description = "safetensors file of the weights that the rule adaptive compares gradients with, under the"
                    + " same names; a tensor that is not there is left as it is")
    private @Nullable Path parameters;

    @Option(
            names = "--unscale",
            paramLabel = "F",
            description = "multiply gradients by F before all else: 1 / the scale of the loss")
    private @Nullable Double unscale;

    @Option(
            names = "--non-finite",
            paramLabel = "error|skip|zero|propagate",
            description = "where a gradient holds a NaN or an infinity: write nothing, name the tensor and exit with 1"
                    + " (default), copy IN, set such elements to 0 first, or follow the formula wherever it leads")
    private @Nullable NonFinitePolicy nonFinite;

    @Option(names = "--error-if-nonfinite", description = "the same as --non-finite error")
    private boolean errorIfNonFinite;

    /**
     * Makes the rule, or the rules of groups, that the options choose.
     *
     * @throws ParameterException if the options contradict each other, or one is unknown or out of range
     */
    public RuleSelection selection(ThresholdOptions threshold) {
        int ways = (threshold.isGiven() ? 1 : 0) + (rule != null ? 1 : 0) + (groups.isEmpty() ? 0 : 1);
        if (ways > 1) {
            throw usage(
                    "--rule, --group and the thresholds --max-norm, --clip-value, --min and --max exclude each other");
        }
        if (rule == null && !params.isEmpty()) throw usage("--param needs --rule, whose parameter it is");
        if (nonFinite != null && nonFinite != NonFinitePolicy.ERROR && errorIfNonFinite) {
            throw usage("--error-if-nonfinite is --non-finite error, and excludes another --non-finite");
        }
        RuleSelection chosen = checked(this::chosen, threshold);
        requireParametersInPlace(chosen);
        return chosen;
    }

    private RuleSelection chosen(ThresholdOptions threshold) {
        if (rule == null && groups.isEmpty())
            return new RuleSelection(refined(threshold.rule()), null, List.of(), null);
        threshold.requireUnrefined();
        if (rule != null) {
            if (rule.contains(",")) throw usage("--rule takes a name alone; its parameters are each given by --param");
            ChosenRule named = refined(Rules.find(rule).choose(params));
            return new RuleSelection(named.rule(), named, List.of(), parameters);
        }
        List<GroupChoice> choices = new ArrayList<>();
        Map<String, ClipRule> rules = new LinkedHashMap<>();
        for (String text : groups) {
            GroupChoice choice = GroupChoice.parse(text);
            choice = choice.with(refined(choice.chosen()));
            choices.add(choice);
            if (rules.put(choice.name(), choice.chosen().rule()) != null) {
                throw new IllegalArgumentException("--group '" + choice.name() + "' is given twice");
            }
        }
        return new RuleSelection(perGroup(rules), null, choices, parameters);
    }

    private static ClipRule perGroup(Map<String, ClipRule> rules) {
        try {
            return ClipRule.perGroup(rules);
        } catch (IllegalArgumentException e) {
            String fault = String.valueOf(e.getMessage()).split(";", 2)[0];
            throw new IllegalArgumentException(fault + "; clip such groups in runs of their own", e);
        }
    }

    private ChosenRule refined(ChosenRule chosen) {
        return chosen.with(refined(chosen.rule()));
    }

    private ClipRule refined(ClipRule unrefined) {
        ClipRule refined = unrefined.withNonFinitePolicy(nonFinite != null ? nonFinite : NonFinitePolicy.ERROR);
        if (unscale == null) return refined;
        if (refined.inverseScale() != 1) {
            throw new IllegalArgumentException("--unscale and the parameter inverse-scale exclude each other");
        }
        return refined.withInverseScale(Range.FACTOR.require("--unscale", unscale));
    }

    private void requireParametersInPlace(RuleSelection chosen) {
        boolean needed = chosen.needsParameters();
        if (needed && parameters == null) {
            throw usage("the rule adaptive compares gradients with their weights: give --parameters FILE");
        }
        if (!needed && parameters != null) throw usage("--parameters is for the rule adaptive, which was not chosen");
    }
}
