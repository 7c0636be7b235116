// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The report of one clip, which a {@link ClipListener} receives.
 *
 * @param step the number of the clipper's call, from 0: clips and decisions count, norms and measurements do not
 * @param globalNorm the norm over all tensors before clipping; NaN where the rule measures none, or under the policy
 *     ERROR
 * @param coefficient the factor that every gradient was multiplied by; NaN where there is no single one
 * @param clipped true if gradients were changed; for a decision, true if the coefficient would change some
 * @param nonFinite true if a NaN or an infinity was found
 * @param groupNorms the norm of each group, by name and in the order bound; empty where there are no groups, the rule
 *     measures no norm, or the clip was enqueued on a device, where reading them would have to wait
 * @param tensorNorms the norm of each tensor, by name and in the order bound; empty as {@code groupNorms}, and where
 *     the listener did not ask for them ({@link ClipListener#wantsTensorNorms})
 * @param rule the rule; null in an event that was made without one
 * @param skipped true if the policy SKIP or the rule's history left everything as it is
 * @param threshold what {@link #globalNorm} is compared with: the maxNorm of {@link ClipRule#globalNorm} and
 *     {@link ClipRule#normalizeAbove}, the threshold of this step of a rule with a {@link History}, infinity where the
 *     rule only measures. NaN where a rule compares something else: the norm of a tensor, a mean, elements
 */
public record ClipEvent(
        long step,
        double globalNorm,
        double coefficient,
        boolean clipped,
        boolean nonFinite,
        Map<String, Double> groupNorms,
        Map<String, Double> tensorNorms,
        @Nullable ClipRule rule,
        boolean skipped,
        double threshold) {
    /** A threshold that is NaN becomes the one that the rule has without a history. */
    public ClipEvent {
        if (Double.isNaN(threshold)) threshold = fixedThreshold(rule);
    }

    /** An event of a step that was not skipped, with the threshold that the rule has without a history. */
    public ClipEvent(
            long step,
            double globalNorm,
            double coefficient,
            boolean clipped,
            boolean nonFinite,
            Map<String, Double> groupNorms,
            Map<String, Double> tensorNorms,
            @Nullable ClipRule rule) {
        this(step, globalNorm, coefficient, clipped, nonFinite, groupNorms, tensorNorms, rule, false, Double.NaN);
    }

    /** An event without norms of tensors and without a rule. */
    public ClipEvent(
            long step,
            double globalNorm,
            double coefficient,
            boolean clipped,
            boolean nonFinite,
            Map<String, Double> groupNorms) {
        this(step, globalNorm, coefficient, clipped, nonFinite, groupNorms, Map.of(), null);
    }

    /** The threshold of a rule for one norm over all, as it is without a history; NaN of other rules. */
    private static double fixedThreshold(@Nullable ClipRule rule) {
        if (!(rule instanceof NormRule norm) || norm.scope() != Scope.ALL) return Double.NaN;
        return switch (norm.form()) {
            case CLIP, NORMALIZE -> norm.max();
            case AVERAGE, RMS, ADAPTIVE -> Double.NaN;
        };
    }
}
