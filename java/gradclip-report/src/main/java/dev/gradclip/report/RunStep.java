// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.report;

/**
 * One line of a run file: what one clip found and did.
 *
 * @param step from 0; steps ascend in a file
 * @param time seconds since 1970 in UTC; NaN where the file has none
 * @param norm the global norm before clipping; NaN where the rule measures none, or the norm was NaN
 * @param threshold the norm above which the rule clips; NaN where it has none, infinity where it only measures
 * @param coefficient the factor of every gradient; NaN where there is no single one
 * @param clipped whether gradients were changed
 * @param nonFinite whether a NaN or an infinity was found
 * @param skipped whether everything was left as it was, by the policy SKIP or ERROR or by a rule that skips spikes
 */
public record RunStep(
        long step,
        double time,
        double norm,
        double threshold,
        double coefficient,
        boolean clipped,
        boolean nonFinite,
        boolean skipped) {}
