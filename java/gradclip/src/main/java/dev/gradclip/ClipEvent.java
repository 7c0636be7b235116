// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import java.util.Map;

/**
 * What a {@link ClipListener} is told of one clip.
 *
 * @param step which call of the clipper it was, from 0: clips and decisions count, norms and measurements do not
 * @param globalNorm the norm over all tensors before clipping; NaN where the rule measures none, or under the policy ERROR
 * @param coefficient what everything was multiplied by; NaN where there is no single one
 * @param clipped whether gradients were changed; of a decision, whether the coefficient would change some
 * @param nonFinite whether a NaN or an infinity was found
 * @param groupNorms by group, in the order bound; empty where there are no groups, the rule measures no norm, or the clip was
 *     enqueued on a device, where reading them would wait
 */
public record ClipEvent(
        long step,
        double globalNorm,
        double coefficient,
        boolean clipped,
        boolean nonFinite,
        Map<String, Double> groupNorms) {}
