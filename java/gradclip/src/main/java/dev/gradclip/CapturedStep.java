// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import dev.gradclip.internal.clip.Phases;
import dev.gradclip.internal.cuda.CudaCapture;

/**
 * A step that is part of a CUDA graph: a captured clip that goes into an update of the weights. Each launch of the
 * graph measures, decides, updates the weights that were bound at the capture, and counts the step on the device, with
 * the numbers of {@link #update} and {@link #rule}; the host does nothing. Where the policy skips a launch, nothing
 * moves and no step is counted.
 *
 * <p>{@link UpdateState} reads what launches leave once they are done: wait for their stream first.
 *
 * <pre>{@code
 * PreparedStep prepared = clipper.prepare(Update.adamW(1e-3), ClipRule.globalNorm(1.0));
 * CapturedStep[] step = new CapturedStep[1];
 * CudaGraph graph = CudaGraph.capture(stream, () -> {
 *     backward(stream);
 *     step[0] = prepared.capture(stream);
 * });
 * for (…) {
 *     step[0].setUpdate(Update.adamW(schedule.next()), stream);
 *     graph.launch(stream);
 * }
 * }</pre>
 */
public final class CapturedStep extends CapturedClip {
    private volatile Update update;

    CapturedStep(Phases phases, CudaCapture capture, ClipRule rule, Update update) {
        super(phases, capture, rule);
        this.update = update;
    }

    /** The update that was captured, or that of the latest {@link #setUpdate}. */
    public Update update() {
        return update;
    }

    /**
     * Sets other numbers (learning rate, weight decay, momentum, betas, epsilon) for the launches that are enqueued on
     * the stream from here on.
     *
     * @throws IllegalArgumentException if the state can't continue with an update of another form
     * @throws IllegalStateException if this step or its clipper is closed
     */
    public void setUpdate(Update next, CudaStream stream) {
        phases.setUpdate(capture, next, stream.streamHandle);
        update = next;
    }
}
