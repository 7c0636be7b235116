// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.clip;

import dev.gradclip.ClipEvent;
import dev.gradclip.ClipListener;
import dev.gradclip.CudaException;
import dev.gradclip.NonFiniteGradientException;
import dev.gradclip.internal.rule.TensorRange;
import java.util.ArrayDeque;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Reports every clip to the {@link ClipListener} and to JDK Flight Recorder, if either is active; delegates the work.
 */
public final class ClipObserver {
    /** The number of results that a CUDA plan keeps. */
    private static final int MOST_WAITING = 256;

    private final Phases phases;

    private final Map<String, TensorRange> groups;

    private final @Nullable ClipListener listener;

    /** The clips whose figures the device has not written yet. */
    private final ArrayDeque<Waiting> waiting = new ArrayDeque<>(0);

    private long steps;
    private boolean logged;

    private record Waiting(long step, long call) {}

    /** Observes the clips of these phases; the groups are ranges of segments. */
    public ClipObserver(Phases phases, Map<String, TensorRange> groups, @Nullable ClipListener listener) {
        this.phases = phases;
        this.groups = groups;
        this.listener = listener;
    }

    public void clip(Call call) {
        if (!waiting.isEmpty()) poll();
        ClipRecording.Recorded begun = ClipRecording.begin();
        if (listener == null && begun == null) {
            phases.clip(call);
            steps++;
            return;
        }
        try {
            phases.clip(call);
        } catch (NonFiniteGradientException e) {
            tell(begun, refused(steps++), false);
            throw e;
        }
        long step = steps++;
        Figures figures = call.figures();
        if (figures.isPending) {
            if (waiting.size() == MOST_WAITING) waiting.remove();
            waiting.add(new Waiting(step, figures.call));
            return;
        }
        if (!waiting.isEmpty()) poll();
        tell(begun, event(step, figures, call.measuresNorms() ? groupNorms(figures.call) : Map.of()), false);
    }

    /** Reports the waiting clips whose figures the device has written by now; never blocks. */
    public void poll() {
        while (true) {
            Waiting next = waiting.peek();
            if (next == null || !phases.isComplete(next.call)) return;
            waiting.remove();
            ClipEvent event;
            try {
                Figures figures = new Figures();
                phases.read(next.call, figures);
                event = event(next.step, figures, Map.of());
            } catch (NonFiniteGradientException e) {
                event = refused(next.step);
            } catch (CudaException | IllegalStateException e) {
                // The device failed, or the figures were overwritten: reading the ClipResult throws the same error.
                continue;
            }
            tell(null, event, true);
        }
    }

    private Map<String, Double> groupNorms(long ofCall) {
        if (groups.isEmpty()) return Map.of();
        Map<String, Double> norms = new LinkedHashMap<>();
        groups.forEach((name, range) -> norms.put(name, phases.norm(range.from(), range.to(), ofCall)));
        return norms;
    }

    private static ClipEvent event(long step, Figures figures, Map<String, Double> groupNorms) {
        return new ClipEvent(
                step, figures.globalNorm, figures.coefficient, figures.clipped, figures.nonFinite, groupNorms);
    }

    /** Makes the event of a clip that the policy ERROR refused, which changed no gradient. */
    private static ClipEvent refused(long step) {
        return new ClipEvent(step, Double.NaN, 1, false, true, Map.of());
    }

    private void tell(ClipRecording.@Nullable Recorded begun, ClipEvent event, boolean async) {
        ClipRecording.commit(begun, event, async);
        if (listener == null) return;
        try {
            listener.onClip(event);
        } catch (Exception e) {
            if (logged) return;
            logged = true;
            System.getLogger("dev.gradclip")
                    .log(System.Logger.Level.WARNING, "a ClipListener failed; the clip itself did not", e);
        }
    }

    /** Reports all waiting clips; to be called when no clip is in flight any more. */
    public void close() {
        try {
            poll();
        } catch (CudaException e) {
            // Closing the plan reports what failed on the device.
        }
    }
}
