// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import dev.gradclip.internal.rule.ResolvedRule;
import java.util.Objects;

/**
 * A rule made ready for one clipper: checked once, run every step.
 *
 * <pre>{@code
 * PreparedClip clip = clipper.prepare(ClipRule.globalNorm(1.0));
 * for (…) {
 *     backward();
 *     clip.run();
 * }
 * }</pre>
 */
public final class PreparedClip {
    private final GradientClipper clipper;
    private final ResolvedRule rule;

    PreparedClip(GradientClipper clipper, ResolvedRule rule) {
        this.clipper = clipper;
        this.rule = rule;
    }

    /** The rule that is run. */
    public ClipRule rule() {
        return rule.rule;
    }

    /**
     * What the clipper remembers for the rule: {@link GradientClipper#history}.
     *
     * @throws IllegalArgumentException if the rule has no history
     */
    public RuleHistory history() {
        return clipper.history(rule.rule);
    }

    /** Clips as {@link GradientClipper#clip} does; complete on return. */
    public ClipResult run() {
        return clipper.clip(rule, null);
    }

    /** Enqueues the clip as {@link GradientClipper#clipAsync} does. */
    public ClipResult runAsync(CudaStream stream) {
        return clipper.clip(rule, Objects.requireNonNull(stream, "stream"));
    }

    /**
     * Makes the clip part of the graph that the stream is being captured into ({@link CudaGraph}, or a framework's
     * own). The clip runs each time the graph is launched.
     *
     * @throws CudaException if the stream is not being captured, gradients were rebound and no clip has run since, or
     *     16 captured clips of this clipper are open
     * @throws IllegalStateException if the gradients are in host memory
     */
    public CapturedClip capture(CudaStream stream) {
        return clipper.capture(rule, null, stream);
    }

    /**
     * Captures a clip as {@link #capture(CudaStream)} does, with a norm that each launch of the graph reads on the
     * device: {@link GradientClipper#clipWithNormAsync}.
     *
     * @throws IllegalArgumentException if the rule is not a norm rule with one coefficient, or its policy is ZERO
     */
    public CapturedClip capture(DeviceNorm norm, CudaStream stream) {
        if (!(rule.rule instanceof NormRule normRule)) {
            throw new IllegalArgumentException("a norm is given to norm rules, but the rule is " + rule.rule);
        }
        GradientClipper.requireGiven(normRule, norm, stream, "capture");
        return clipper.capture(rule, norm, stream);
    }
}
