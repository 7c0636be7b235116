// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import java.util.Map;

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
 */
public record ClipEvent(
        long step,
        double globalNorm,
        double coefficient,
        boolean clipped,
        boolean nonFinite,
        Map<String, Double> groupNorms) {}
