// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.rules;

import dev.gradclip.ClipRule;
import dev.gradclip.Convention;
import dev.gradclip.NormRule;
import dev.gradclip.NormType;
import dev.gradclip.Scope;
import dev.gradclip.ValueRule;
import dev.gradclip.cli.shell.Numbers;
import java.util.Locale;

/** A parameter of a rule, as {@code --param NAME=VALUE} takes it; those after {@link #MAX} refine a rule. */
enum RuleParameter {
    MAX_NORM("max-norm", Range.LIMIT, "the norm allowed; 0 zeroes, inf only measures"),
    MAX_RMS("max-rms", Range.LIMIT, "the root mean square allowed; 0 zeroes, inf only measures"),
    LAMBDA("lambda", Range.LIMIT, "a row's norm allowed, as a share of its weights' norm"),
    LENGTH("length", Range.LENGTH, "the norm afterwards"),
    MIN("min", Range.NUMBER, "lower limit; -inf for none"),
    MAX("max", Range.NUMBER, "upper limit; inf for none"),
    SCOPE("scope", Range.NUMBER, "what has a norm of its own: all, tensor or row"),
    NORM_TYPE("norm-type", Range.NUMBER, "1, 2, inf or any p above 0"),
    CONVENTION("convention", Range.NUMBER, "whose edges: pytorch, tensorflow, optax, keras or dl4j"),
    EPSILON("epsilon", Range.LENGTH, "added to the norm before dividing"),
    WEIGHTS_EPSILON("epsilon", Range.LENGTH, "the least norm that weights count with"),
    INVERSE_SCALE("inverse-scale", Range.FACTOR, "what gradients are multiplied by before all else");

    private final String word;
    private final Range range;
    private final String meaning;

    RuleParameter(String word, Range range, String meaning) {
        this.word = word;
        this.range = range;
        this.meaning = meaning;
    }

    String word() {
        return word;
    }

    String meaning() {
        return meaning;
    }

    /** @throws IllegalArgumentException if the text is no number that it may be */
    double number(String text) {
        try {
            return range.require(word, Numbers.parse(text));
        } catch (NumberFormatException e) {
            throw new IllegalArgumentException(word + ": " + e.getMessage(), e);
        }
    }

    /** Returns its value in a rule: a Double or a String. */
    Object of(ClipRule rule) {
        return switch (this) {
            case MIN -> ((ValueRule) rule).min();
            case MAX -> ((ValueRule) rule).max();
            case MAX_NORM, MAX_RMS, LAMBDA -> norm(rule).max();
            case LENGTH -> norm(rule).targetNorm();
            case SCOPE -> lowerCase(norm(rule).scope());
            case NORM_TYPE -> norm(rule).normType().toString();
            case CONVENTION -> lowerCase(norm(rule).convention());
            case EPSILON, WEIGHTS_EPSILON -> norm(rule).epsilon();
            case INVERSE_SCALE -> rule.inverseScale();
        };
    }

    /**
     * Returns the rule with another value of a parameter that refines it.
     *
     * @throws IllegalArgumentException if the text is no such value
     */
    ClipRule refine(ClipRule rule, String text) {
        return switch (this) {
            case SCOPE -> norm(rule).withScope(scope(text));
            case NORM_TYPE -> norm(rule).withNormType(normType(text));
            case CONVENTION -> withConvention(norm(rule), constant(Convention.class, text));
            case EPSILON, WEIGHTS_EPSILON -> norm(rule).withEpsilon(number(text));
            case INVERSE_SCALE -> rule.withInverseScale(number(text));
            case MAX_NORM, MAX_RMS, LAMBDA, LENGTH, MIN, MAX -> rule;
        };
    }

    /** Changes the convention and keeps the epsilon of a norm divided by a count, which no library has one for. */
    private static NormRule withConvention(NormRule rule, Convention convention) {
        NormRule changed = rule.withConvention(convention);
        boolean divides = rule.form() == NormRule.Form.AVERAGE || rule.form() == NormRule.Form.RMS;
        return divides ? changed.withEpsilon(rule.epsilon()) : changed;
    }

    private NormType normType(String text) {
        try {
            return NormTypes.parse(text);
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException(word + ": " + e.getMessage(), e);
        }
    }

    private Scope scope(String text) {
        Scope scope = constant(Scope.class, text);
        if (scope != Scope.GROUP) return scope;
        throw new IllegalArgumentException(word + ": 'group' is not one of all, tensor, row; --group makes groups");
    }

    private <E extends Enum<E>> E constant(Class<E> type, String text) {
        for (E constant : type.getEnumConstants()) if (lowerCase(constant).equals(text)) return constant;
        StringBuilder known = new StringBuilder();
        for (E constant : type.getEnumConstants()) {
            if (constant == Scope.GROUP) continue;
            known.append(known.isEmpty() ? "" : ", ").append(lowerCase(constant));
        }
        throw new IllegalArgumentException(word + ": '" + text + "' is not one of " + known);
    }

    private static String lowerCase(Enum<?> constant) {
        return constant.name().toLowerCase(Locale.ROOT);
    }

    private static NormRule norm(ClipRule rule) {
        return (NormRule) rule;
    }
}
