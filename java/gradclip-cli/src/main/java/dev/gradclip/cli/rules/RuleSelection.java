// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.rules;

import dev.gradclip.ClipRule;
import dev.gradclip.NormRule;
import dev.gradclip.NormType;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The rule, or the rules of groups, by which a file is clipped.
 *
 * @param rule for {@link dev.gradclip.StreamingClip}
 * @param named the rule chosen by name; null where a threshold or groups were given
 * @param groups in the order given, or none
 * @param parameters file of weights, or null
 */
public record RuleSelection(
        ClipRule rule,
        @Nullable ChosenRule named,
        List<GroupChoice> groups,
        @Nullable Path parameters) {
    /** Returns the rule of a group; for -1, no group, that of all tensors, or null if there are groups. */
    @Nullable
    public ClipRule ruleOf(int group) {
        if (group >= 0) return groups.get(group).chosen().rule();
        return groups.isEmpty() ? rule : null;
    }

    /** Returns the norm that is taken, or null if elements are clamped. */
    @Nullable
    public NormType normType() {
        return rules().findFirst().orElse(rule) instanceof NormRule norm ? norm.normType() : null;
    }

    public boolean needsParameters() {
        return rules().anyMatch(ChosenRule::needsParameters);
    }

    public boolean goesByRows() {
        return rules().anyMatch(ChosenRule::goesByRows);
    }

    /** Tells if a rule's threshold follows from the norms of earlier files. */
    public boolean hasHistory() {
        return rules().anyMatch(ChosenRule::hasHistory);
    }

    private Stream<ClipRule> rules() {
        return groups.isEmpty()
                ? Stream.of(rule)
                : groups.stream().map(g -> g.chosen().rule());
    }
}
