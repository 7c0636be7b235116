// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import dev.gradclip.internal.DeviceFigure;
import java.util.ArrayDeque;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** Another's phases, each clip of which is told to a {@link ClipListener} and to JDK Flight Recorder, where there are any. */
final class ObservedPhases implements Phases {
    /** As many results as a device keeps. */
    private static final int MOST_WAITING = 256;

    private final Phases phases;
    private final Map<String, Group> groups;
    private final @Nullable ClipListener listener;

    /** Clips whose figures a device has still to write. */
    private final ArrayDeque<Waiting> waiting = new ArrayDeque<>(0);

    private long steps;
    private boolean logged;

    private record Waiting(long step, ClipResult result) {}

    ObservedPhases(Phases phases, Map<String, Group> groups, @Nullable ClipListener listener) {
        this.phases = phases;
        this.groups = groups;
        this.listener = listener;
    }

    @Override
    public ClipResult clip(ResolvedRule rule, boolean isMeasured) {
        ClipRecord begun = begin();
        if (!isObserved(begun)) return counted(phases.clip(rule, isMeasured));
        return observed(begun, !rule.clamps(), () -> phases.clip(rule, isMeasured));
    }

    @Override
    public ClipResult clipAsync(ResolvedRule rule, boolean isMeasured, CudaStream stream) {
        ClipRecord begun = begin();
        if (!isObserved(begun)) return counted(phases.clipAsync(rule, isMeasured, stream));
        return observed(begun, !rule.clamps(), () -> phases.clipAsync(rule, isMeasured, stream));
    }

    @Override
    public ClipResult decide(ResolvedRule rule) {
        ClipRecord begun = begin();
        if (!isObserved(begun)) return counted(phases.decide(rule));
        return observed(begun, true, () -> phases.decide(rule));
    }

    @Override
    public ClipResult decideAsync(ResolvedRule rule, CudaStream stream) {
        ClipRecord begun = begin();
        if (!isObserved(begun)) return counted(phases.decideAsync(rule, stream));
        return observed(begun, true, () -> phases.decideAsync(rule, stream));
    }

    @Override
    public ClipResult clipWithNorm(ResolvedRule rule, double globalNorm) {
        ClipRecord begun = begin();
        if (!isObserved(begun)) return counted(phases.clipWithNorm(rule, globalNorm));
        return observed(begun, false, () -> phases.clipWithNorm(rule, globalNorm));
    }

    @Override
    public ClipResult clipWithNorm(ResolvedRule rule, DeviceNorm norm, CudaStream stream) {
        ClipRecord begun = begin();
        if (!isObserved(begun)) return counted(phases.clipWithNorm(rule, norm, stream));
        return observed(begun, false, () -> phases.clipWithNorm(rule, norm, stream));
    }

    private @Nullable ClipRecord begin() {
        if (!waiting.isEmpty()) poll();
        return FlightRecorder.begin();
    }

    private boolean isObserved(@Nullable ClipRecord begun) {
        return listener != null || begun != null;
    }

    private ClipResult counted(ClipResult result) {
        steps++;
        return result;
    }

    private ClipResult observed(@Nullable ClipRecord begun, boolean measuresNorms, Supplier<ClipResult> call) {
        ClipResult result;
        try {
            result = call.get();
        } catch (NonFiniteGradientException e) {
            tell(begun, refused(steps++), false);
            throw e;
        }
        long step = steps++;
        if (result instanceof ClipSnapshot done) {
            if (!waiting.isEmpty()) poll();
            tell(begun, event(step, done, measuresNorms ? groupNorms(done) : Map.of()), false);
        } else {
            if (waiting.size() == MOST_WAITING) waiting.remove();
            waiting.add(new Waiting(step, result));
        }
        return result;
    }

    /** Tells of the clips whose figures have come meanwhile; waits for none. */
    void poll() {
        while (true) {
            Waiting next = waiting.peek();
            if (next == null || !next.result.isComplete()) return;
            waiting.remove();
            ClipEvent event;
            try {
                event = event(next.step, next.result, Map.of());
            } catch (NonFiniteGradientException e) {
                event = refused(next.step);
            } catch (CudaException | IllegalStateException e) {
                // Failed, or written over meanwhile: whoever asks the result is told, and here there is nothing to
                // tell.
                continue;
            }
            tell(null, event, true);
        }
    }

    private Map<String, Double> groupNorms(ClipSnapshot result) {
        if (groups.isEmpty()) return Map.of();
        Map<String, Double> norms = new LinkedHashMap<>();
        groups.forEach((name, range) -> norms.put(name, phases.norm(range.from(), range.to(), result.call())));
        return norms;
    }

    private static ClipEvent event(long step, ClipResult result, Map<String, Double> groupNorms) {
        return new ClipEvent(
                step, result.totalNorm(), result.coefficient(), result.clipped(), result.nonFinite(), groupNorms);
    }

    /** The policy is ERROR: all stays as it was. */
    private static ClipEvent refused(long step) {
        return new ClipEvent(step, Double.NaN, 1, false, true, Map.of());
    }

    private void tell(@Nullable ClipRecord begun, ClipEvent event, boolean async) {
        FlightRecorder.commit(begun, event, async);
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

    // ---- not observed -----------------------------------------------------------------------------------------------

    @Override
    public boolean isPartlyClipped() {
        return phases.isPartlyClipped();
    }

    @Override
    public double globalNorm(NormType type) {
        return phases.globalNorm(type);
    }

    @Override
    public void measure(NormType type, Group range, CudaStream stream) {
        phases.measure(type, range, stream);
    }

    @Override
    public CapturedClip capture(ResolvedRule rule, DeviceNorm norm, CudaStream stream) {
        return phases.capture(rule, norm, stream);
    }

    @Override
    public CapturedClip capture(ResolvedRule rule, CudaStream stream) {
        return phases.capture(rule, stream);
    }

    @Override
    public double norm(int fromSegment, int toSegment, long ofCall) {
        return phases.norm(fromSegment, toSegment, ofCall);
    }

    @Override
    public double coefficient(int segment, long ofCall) {
        return phases.coefficient(segment, ofCall);
    }

    @Override
    public long address(DeviceFigure figure) {
        return phases.address(figure);
    }

    /** Nothing is in flight any more, so all that waits is told. */
    @Override
    public void clear() {
        try {
            poll();
        } catch (CudaException e) {
            // Closing itself reports what failed on the device.
        } finally {
            phases.clear();
        }
    }
}
