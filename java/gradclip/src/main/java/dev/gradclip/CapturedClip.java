// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import dev.gradclip.internal.clip.Figures;
import dev.gradclip.internal.clip.Phases;
import dev.gradclip.internal.cuda.CudaCapture;
import java.util.Objects;

/**
 * A clip that is part of a CUDA graph. Each launch of the graph measures, decides and applies anew on the gradients
 * that were bound at the capture, with the numbers of {@link #rule}; the host does nothing.
 *
 * <p>Launches and the clipper's other calls use the same device memory: order them, by one stream or by waiting.
 * Gradients can't be rebound elsewhere while a captured clip is open; after the clipper is closed the graph must not be
 * launched.
 *
 * <pre>{@code
 * CapturedClip[] clip = new CapturedClip[1];
 * CudaGraph step = CudaGraph.capture(stream, () -> {
 *     backward(stream);
 *     clip[0] = clipper.prepare(ClipRule.globalNorm(1.0)).capture(stream);
 *     update(stream);
 * });
 * step.launch(stream);
 * clip[0].setRule(ClipRule.globalNorm(0.5), stream);
 * step.launch(stream);
 * stream.synchronize();
 * double norm = clip[0].latest().globalNorm();
 * }</pre>
 */
public sealed class CapturedClip implements AutoCloseable permits CapturedStep {
    final Phases phases;
    final CudaCapture capture;
    private volatile ClipRule rule;

    CapturedClip(Phases phases, CudaCapture capture, ClipRule rule) {
        this.phases = phases;
        this.capture = capture;
        this.rule = rule;
    }

    /** The rule that was captured, or that of the latest {@link #setRule}. */
    public ClipRule rule() {
        return rule;
    }

    /**
     * Sets other numbers (threshold, target norm, epsilon, limits, inverse scale) for the launches that are enqueued on
     * the stream from here on.
     *
     * @throws IllegalArgumentException if the rule differs in more than numbers (in form, scope, norm type, convention,
     *     policy or history), or is a rule for groups, whose numbers can't change
     * @throws IllegalStateException if this clip or its clipper is closed
     */
    public void setRule(ClipRule next, CudaStream stream) {
        if (!differsInNumbersOnly(next)) {
            throw new IllegalArgumentException(
                    "captured as " + rule + ", of which only numbers can change, not to " + next);
        }
        phases.setRule(capture, next, stream.streamHandle);
        rule = next;
    }

    private boolean differsInNumbersOnly(ClipRule next) {
        if (next.nonFinitePolicy() != rule.nonFinitePolicy()) return false;
        if (rule instanceof NormRule was && next instanceof NormRule now) {
            return was.form() == now.form()
                    && was.scope() == now.scope()
                    && was.scope() != Scope.GROUP
                    && was.convention() == now.convention()
                    && was.normType().equals(now.normType())
                    && Objects.equals(was.history(), now.history());
        }
        return rule instanceof ValueRule && next instanceof ValueRule;
    }

    /** The number of launches whose results have arrived. */
    public long replays() {
        return capture.replays();
    }

    /**
     * The result of the latest launch whose result has arrived; this never waits. The result has no per-tensor figures.
     *
     * @throws NonFiniteGradientException if the policy is ERROR and that launch found a NaN or an infinity
     * @throws IllegalStateException if no result has arrived yet, or this clip or its clipper is closed
     */
    public ClipResult latest() {
        Figures figures = new Figures();
        phases.latest(capture, figures);
        return new ClipResult(figures, null);
    }

    /**
     * Ends this clip, once the graph is launched no more; gradients can then be rebound. Closing again does nothing.
     */
    @Override
    public void close() {
        capture.close();
    }
}
