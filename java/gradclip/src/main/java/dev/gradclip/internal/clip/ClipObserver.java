// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.clip;

import dev.gradclip.ClipEvent;
import dev.gradclip.ClipListener;
import dev.gradclip.ClipRule;
import dev.gradclip.CudaException;
import dev.gradclip.NonFiniteGradientException;
import dev.gradclip.internal.rule.TensorRange;
import java.util.ArrayDeque;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Reports every clip to the {@link ClipListener} and to JDK Flight Recorder, if either is active; delegates the work.
 */
public final class ClipObserver {
    /** The number of results that a CUDA plan keeps. */
    private static final int MOST_WAITING = 256;

    private final Phases phases;

    private final Map<String, TensorRange> groups;

    /** Makes {@link #tensors} when a listener first asks for their norms; null without a listener. */
    private final @Nullable Supplier<Map<String, TensorRange>> tensorsOf;

    private @Nullable Map<String, TensorRange> tensors;

    private final @Nullable ClipListener listener;

    /** The clips whose figures the device has not written yet. */
    private final ArrayDeque<Waiting> waiting = new ArrayDeque<>(0);

    private long steps;
    private boolean logged;

    private record Waiting(long step, long call, ClipRule rule) {}

    /** Observes the clips of these phases; groups and tensors are ranges of segments. */
    public ClipObserver(
            Phases phases,
            Map<String, TensorRange> groups,
            @Nullable Supplier<Map<String, TensorRange>> tensors,
            @Nullable ClipListener listener) {
        this.phases = phases;
        this.groups = groups;
        this.tensorsOf = tensors;
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
            tell(begun, refused(steps++, call.rule().rule), false);
            throw e;
        }
        long step = steps++;
        Figures figures = call.figures();
        if (figures.isPending) {
            if (waiting.size() == MOST_WAITING) waiting.remove();
            waiting.add(new Waiting(step, figures.call, call.rule().rule));
            return;
        }
        if (!waiting.isEmpty()) poll();
        boolean norms = call.measuresNorms();
        Map<String, Double> ofGroups = norms ? norms(groups, figures.call) : Map.of();
        Map<String, Double> ofTensors = norms ? tensorNorms(step, figures.call) : Map.of();
        tell(begun, event(step, figures, ofGroups, ofTensors, call.rule().rule), false);
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
                event = event(next.step, figures, Map.of(), Map.of(), next.rule);
            } catch (NonFiniteGradientException e) {
                event = refused(next.step, next.rule);
            } catch (CudaException | IllegalStateException e) {
                // The device failed, or the figures were overwritten: reading the ClipResult throws the same error.
                continue;
            }
            tell(null, event, true);
        }
    }

    private Map<String, Double> norms(Map<String, TensorRange> ranges, long ofCall) {
        if (ranges.isEmpty()) return Map.of();
        Map<String, Double> norms = new LinkedHashMap<>();
        ranges.forEach((name, range) -> norms.put(name, phases.norm(range.from(), range.to(), ofCall)));
        return norms;
    }

    private Map<String, Double> tensorNorms(long step, long ofCall) {
        if (listener == null || tensorsOf == null || !wantsTensorNorms(listener, step)) return Map.of();
        Map<String, TensorRange> ranges = tensors;
        if (ranges == null) tensors = ranges = tensorsOf.get();
        return norms(ranges, ofCall);
    }

    private boolean wantsTensorNorms(ClipListener asked, long step) {
        try {
            return asked.wantsTensorNorms(step);
        } catch (Exception e) {
            log(e);
            return false;
        }
    }

    private static ClipEvent event(
            long step,
            Figures figures,
            Map<String, Double> groupNorms,
            Map<String, Double> tensorNorms,
            ClipRule rule) {
        return new ClipEvent(
                step,
                figures.globalNorm,
                figures.coefficient,
                figures.clipped,
                figures.nonFinite,
                groupNorms,
                tensorNorms,
                rule,
                figures.skipped,
                figures.threshold);
    }

    /** Makes the event of a clip that the policy ERROR refused, which changed no gradient. */
    private static ClipEvent refused(long step, ClipRule rule) {
        return new ClipEvent(step, Double.NaN, 1, false, true, Map.of(), Map.of(), rule);
    }

    private void tell(ClipRecording.@Nullable Recorded begun, ClipEvent event, boolean async) {
        ClipRecording.commit(begun, event, async);
        if (listener == null) return;
        try {
            listener.onClip(event);
        } catch (Exception e) {
            log(e);
        }
    }

    private void log(Exception e) {
        if (logged) return;
        logged = true;
        System.getLogger("dev.gradclip")
                .log(System.Logger.Level.WARNING, "a ClipListener failed; the clip itself did not", e);
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
