// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import dev.gradclip.internal.rule.ResolvedRule;
import java.util.Objects;

/**
 * An update and a rule made ready for one clipper: checked once, run every step.
 *
 * <pre>{@code
 * PreparedStep step = clipper.prepare(Update.adamW(1e-3), ClipRule.globalNorm(1.0));
 * for (…) {
 *     backward();
 *     step.run();
 * }
 * }</pre>
 */
public final class PreparedStep {
    private final GradientClipper clipper;
    private final Update update;
    private final ResolvedRule rule;

    PreparedStep(GradientClipper clipper, Update update, ResolvedRule rule) {
        this.clipper = clipper;
        this.update = update;
        this.rule = rule;
    }

    /** The update that is run. */
    public Update update() {
        return update;
    }

    /** The rule that is run. */
    public ClipRule rule() {
        return rule.rule;
    }

    /** Steps as {@link GradientClipper#step} does; complete on return. */
    public ClipResult run() {
        return clipper.step(update, rule, null);
    }

    /** Enqueues the step as {@link GradientClipper#stepAsync} does. */
    public ClipResult runAsync(CudaStream stream) {
        return clipper.step(update, rule, Objects.requireNonNull(stream, "stream"));
    }

    /**
     * Makes the step part of the graph that the stream is being captured into ({@link CudaGraph}, or a framework's
     * own). The step runs each time the graph is launched, and is counted then.
     *
     * @throws CudaException if the stream is not being captured, gradients or weights were rebound and no call has run
     *     since, the rule is one for groups and no clip or step by it has run, or 16 captured clips and steps of this
     *     clipper are open
     * @throws IllegalStateException if the gradients are in host memory, or a gradient has no weights
     */
    public CapturedStep capture(CudaStream stream) {
        return clipper.captureStep(update, rule, stream);
    }
}
