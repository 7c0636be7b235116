// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import dev.gradclip.internal.DeviceFigure;

/** Measure, decide, apply on the side where a clipper's gradients live: {@link ClipPhases} on the CPU, {@link CudaPhases}. */
interface Phases {
    /** The norm over all tensors, measured now. */
    double globalNorm(NormType type);

    /** Measures some of the tensors, for a {@link #clip} that is told so. */
    void measure(NormType type, Group range, CudaStream stream);

    /** Clips, complete on return; {@code isMeasured} says that {@link #measure} has seen every tensor. */
    ClipResult clip(ResolvedRule rule, boolean isMeasured);

    /** As {@link #clip}, after what the stream has been given so far; may return before that is done. */
    ClipResult clipAsync(ResolvedRule rule, boolean isMeasured, CudaStream stream);

    /** Measures and decides, and leaves everything as it is; complete on return. */
    ClipResult decide(ResolvedRule rule);

    /** As {@link #decide}, after what the stream has been given so far; may return before that is done. */
    ClipResult decideAsync(ResolvedRule rule, CudaStream stream);

    /** Makes a clip part of the graph that the stream is captured into. */
    CapturedClip capture(ResolvedRule rule, CudaStream stream);

    /** Scales by a norm that is given. */
    ClipResult clipWithNorm(ResolvedRule rule, double globalNorm);

    /** Scales by a norm that lies on the device, after what the stream has been given so far; may return before that is done. */
    ClipResult clipWithNorm(ResolvedRule rule, DeviceNorm norm, CudaStream stream);

    /** Makes that part of the graph that the stream is captured into. */
    CapturedClip capture(ResolvedRule rule, DeviceNorm norm, CudaStream stream);

    /** The norm of the segments {@code [fromSegment, toSegment)} as call {@code ofCall} measured them. */
    double norm(int fromSegment, int toSegment, long ofCall);

    /** What call {@code ofCall} multiplied a segment by. */
    double coefficient(int segment, long ofCall);

    /** Whether the last clip ended with something thrown after it had begun to write. */
    boolean isPartlyClipped();

    /** Where on a device the last clip or decision left a figure. */
    long address(DeviceFigure figure);

    /** Lets go of streams. */
    void clear();
}
