// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.rules;

import dev.gradclip.ClipRule;
import dev.gradclip.Convention;
import dev.gradclip.History;
import dev.gradclip.NormRule;
import dev.gradclip.NormType;
import dev.gradclip.Scope;
import dev.gradclip.ValueRule;
import dev.gradclip.cli.shell.Numbers;
import java.util.Locale;
import java.util.Objects;

/** A parameter of a rule, as {@code --param NAME=VALUE} takes it; those after {@link #MAX} refine a rule, and
 * those from {@link #PERCENTILE} on are numbers of its history. */
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
    INVERSE_SCALE("inverse-scale", Range.FACTOR, "what gradients are multiplied by before all else"),
    FIXED_LIMIT("max-norm", Range.LIMIT, "a fixed limit besides; inf for none"),
    PERCENTILE("percentile", Range.LIMIT, "which percentile of the norms so far, 0 to 100"),
    FRACTION("fraction", Range.LIMIT, "which quantile of the norms before, 0 to 1"),
    RANK("rank", Range.LIMIT, "which of the norms in ascending order, from 0"),
    WINDOW("window", Range.FACTOR, "how many norms are kept"),
    FACTOR("factor", Range.FACTOR, "of the median"),
    PERIOD("period", Range.FACTOR, "after how many steps there is another median"),
    ALPHA("alpha", Range.LIMIT, "what the averages keep of themselves, 0 to 1"),
    Z_MAX("z-max", Range.FACTOR, "standard deviations above the mean"),
    WARM_UP("warm-up", Range.LIMIT, "steps before which only max-norm limits"),
    GROWTH("lambda", Range.FACTOR, "how far above its average a norm may be"),
    BETA("beta", Range.LIMIT, "what the average keeps of itself, 0 to 1"),
    TAU("tau", Range.FACTOR, "by what a norm may grow in a step"),
    FLOOR("floor", Range.LENGTH, "norms below this times √elements pass"),
    BETA1("beta1", Range.LIMIT, "what the mean of n keeps of itself, below 1"),
    BETA2("beta2", Range.LIMIT, "what the mean of n² keeps of itself, below 1"),
    SKIP_NORM("norm", Range.LIMIT, "the norm above which a step is skipped"),
    SIGMAS("sigmas", Range.FACTOR, "standard deviations above the mean"),
    LEAST("least", Range.FACTOR, "the step from which on steps are skipped");

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
            case FIXED_LIMIT -> norm(rule).max();
            default -> HistoryNumbers.get(history(rule), component());
        };
    }

    /** The name of a history's number: {@code zMax} of {@code z-max}. */
    private String component() {
        StringBuilder name = new StringBuilder(word);
        for (int hyphen; (hyphen = name.indexOf("-")) >= 0; ) {
            name.deleteCharAt(hyphen);
            name.setCharAt(hyphen, Character.toUpperCase(name.charAt(hyphen)));
        }
        return name.toString();
    }

    private static History history(ClipRule rule) {
        return Objects.requireNonNull(norm(rule).history());
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
            case FIXED_LIMIT -> norm(rule).withMaxNorm(number(text));
            default -> norm(rule).withHistory(HistoryNumbers.with(history(rule), component(), number(text)));
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
        if (scope == Scope.SAMPLE) {
            throw new IllegalArgumentException(
                    word + ": 'sample' is not one of all, tensor, row; samples are clipped in Java, by perSampleNorm");
        }
        if (scope != Scope.GROUP) return scope;
        throw new IllegalArgumentException(word + ": 'group' is not one of all, tensor, row; --group makes groups");
    }

    private <E extends Enum<E>> E constant(Class<E> type, String text) {
        for (E constant : type.getEnumConstants()) if (lowerCase(constant).equals(text)) return constant;
        StringBuilder known = new StringBuilder();
        for (E constant : type.getEnumConstants()) {
            if (constant == Scope.GROUP || constant == Scope.SAMPLE) continue;
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
