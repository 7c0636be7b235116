// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

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
    private final ClipRule rule;

    PreparedClip(GradientClipper clipper, ClipRule rule) {
        this.clipper = clipper;
        this.rule = rule;
    }

    /** The rule it runs. */
    public ClipRule rule() {
        return rule;
    }

    /** As {@link GradientClipper#clip}. */
    public ClipResult run() {
        return clipper.clip(rule);
    }

    /** As {@link GradientClipper#clipAsync}. */
    public ClipResult runAsync(CudaStream stream) {
        return clipper.clipAsync(rule, stream);
    }

    /**
     * Makes the clip part of the graph that the stream is being captured into ({@link CudaGraph}, or the framework's own), to
     * run each time the graph is launched.
     *
     * @throws CudaException if the stream captures nothing, gradients were rebound and no clip has run since, or 16 captured
     *     clips of this clipper are open
     * @throws IllegalStateException if the gradients are in host memory
     */
    public CapturedClip capture(CudaStream stream) {
        return clipper.capture(rule, stream);
    }

    /**
     * As {@link #capture(CudaStream)}, with a norm that each launch of the graph finds on the device, as {@link
     * GradientClipper#clipWithNormAsync}.
     *
     * @throws IllegalArgumentException if the rule is no norm rule of one coefficient, or its policy is ZERO
     */
    public CapturedClip capture(DeviceNorm norm, CudaStream stream) {
        if (!(rule instanceof NormRule normRule)) {
            throw new IllegalArgumentException("a norm is given to norm rules, but the rule is " + rule);
        }
        return clipper.capture(normRule, norm, stream);
    }
}
