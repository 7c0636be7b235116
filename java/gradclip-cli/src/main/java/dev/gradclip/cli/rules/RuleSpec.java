// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.rules;

import dev.gradclip.ClipRule;
import dev.gradclip.cli.shell.Numbers;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * A rule as the command line knows it.
 *
 * @param name what {@code --rule} takes
 * @param formula of g, a gradient, and n, its norm
 * @param source whose convention it is
 * @param required parameters without which there is no rule
 * @param optional parameters that have a default
 * @param maker the rule of the required ones
 * @param example values of the required ones that make sense
 */
public record RuleSpec(
        String name,
        String formula,
        String source,
        List<RuleParameter> required,
        List<RuleParameter> optional,
        Function<RuleArguments, ClipRule> maker,
        String example) {

    List<RuleParameter> parameters() {
        return Stream.concat(required.stream(), optional.stream()).toList();
    }

    /** @throws IllegalArgumentException listing the known ones */
    RuleParameter parameter(String word) {
        for (RuleParameter parameter : parameters()) if (parameter.word().equals(word)) return parameter;
        String known = parameters().stream().map(RuleParameter::word).collect(Collectors.joining(", "));
        throw new IllegalArgumentException("it has no parameter '" + word + "'; it takes " + known);
    }

    /**
     * Makes the rule of texts {@code NAME=VALUE}.
     *
     * @throws IllegalArgumentException naming rule and parameter at fault
     */
    ChosenRule choose(List<String> texts) {
        try {
            RuleArguments arguments = new RuleArguments(this, texts);
            ClipRule rule = maker.apply(arguments);
            for (RuleParameter parameter : optional) {
                String text = arguments.text(parameter);
                if (text != null) rule = parameter.refine(rule, text);
            }
            return new ChosenRule(this, rule);
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException("rule " + name + ": " + e.getMessage(), e);
        }
    }

    /** Returns the value of every parameter in one of its rules, by name. */
    Map<String, Object> values(ClipRule rule) {
        Map<String, Object> values = new LinkedHashMap<>();
        for (RuleParameter parameter : parameters()) values.put(parameter.word(), parameter.of(rule));
        return values;
    }

    /** Returns the default of an optional parameter, as it is typed. */
    String defaultOf(RuleParameter parameter) {
        return parameter == RuleParameter.MIN
                ? "-max"
                : typed(parameter.of(exampleRule().rule()));
    }

    static String typed(Object value) {
        return value instanceof Double number ? Numbers.typed(number) : String.valueOf(value);
    }

    /** Returns a rule whose required parameters make sense. */
    public ChosenRule exampleRule() {
        return choose(exampleArguments());
    }

    private List<String> exampleArguments() {
        return example.isEmpty() ? List.of() : Arrays.asList(example.split(",", -1));
    }

    /** Returns the options of {@code gradclip clip} that choose it. */
    String usage() {
        return "--rule " + name
                + exampleArguments().stream().map(a -> " --param " + a).collect(Collectors.joining())
                + (ChosenRule.hasHistory(maker.apply(new RuleArguments(this, exampleArguments())))
                        ? " --state clip.safetensors"
                        : "");
    }
}
