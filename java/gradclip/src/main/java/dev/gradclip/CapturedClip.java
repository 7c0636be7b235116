// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import dev.gradclip.internal.clip.Figures;
import dev.gradclip.internal.clip.Phases;
import dev.gradclip.internal.cuda.CudaCapture;

/**
 * A clip that is part of a CUDA graph. Each launch of the graph measures, decides and applies anew on the gradients bound
 * when it was captured, by the numbers it was given last; the host does nothing.
 *
 * <p>Launches and the clipper's other calls use the same device memory: order them, by one stream or by waiting. Gradients
 * can't be rebound elsewhere while a captured clip is open; after the clipper is closed the graph must not be launched.
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
public final class CapturedClip implements AutoCloseable {
    private final Phases phases;
    private final CudaCapture capture;
    private volatile ClipRule rule;

    CapturedClip(Phases phases, CudaCapture capture, ClipRule rule) {
        this.phases = phases;
        this.capture = capture;
        this.rule = rule;
    }

    /** What it was given last. */
    public ClipRule rule() {
        return rule;
    }

    /**
     * Other numbers (threshold, length, epsilon, limits, unscaling) for the launches that the stream is given from here on.
     *
     * @throws IllegalArgumentException if the rule differs in more than numbers (in form, scope, norm type, convention or policy), or
     *     is one for groups, whose numbers stay
     * @throws IllegalStateException if this or the clipper is closed
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
                    && was.normType().equals(now.normType());
        }
        return rule instanceof ValueRule && next instanceof ValueRule;
    }

    /** Launches whose results have arrived. */
    public long replays() {
        return capture.replays();
    }

    /**
     * The result of the latest launch whose result has arrived; never waits. It has no per-tensor figures.
     *
     * @throws NonFiniteGradientException where the policy is ERROR and that launch found such a gradient
     * @throws IllegalStateException if no launch has got so far, or this or the clipper is closed
     */
    public ClipResult latest() {
        Figures figures = new Figures();
        phases.latest(capture, figures);
        return new ClipResult(figures, null);
    }

    /** To be called once the graph is launched no more; gradients can then be rebound. Closing again does nothing. */
    @Override
    public void close() {
        capture.close();
    }
}
