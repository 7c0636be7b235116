// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

/** Measure, decide, apply on the side where a clipper's gradients live: {@link ClipPhases} on the CPU, {@link CudaPhases}. */
interface Phases {
    /** The norm over all tensors, measured now. */
    double globalNorm(NormType type);

    /** Measures some of the tensors, for a {@link #clip} that is told so. */
    void measure(NormType type, Group range);

    /** Clips, complete on return; {@code isMeasured} says that {@link #measure} has seen every tensor. */
    ClipResult clip(ResolvedRule rule, boolean isMeasured);

    /** Clips after what the stream has been given so far; may return before that is done. */
    ClipResult clipAsync(ResolvedRule rule, CudaStream stream);

    /** Measures and decides, and leaves everything as it is; complete on return. */
    ClipResult decide(ResolvedRule rule);

    /** As {@link #decide}, after what the stream has been given so far; may return before that is done. */
    ClipResult decideAsync(ResolvedRule rule, CudaStream stream);

    /** Makes a clip part of the graph that the stream is captured into. */
    CapturedClip capture(ResolvedRule rule, CudaStream stream);

    /** Scales by a norm that is given. */
    ClipResult clipWithNorm(ResolvedRule rule, double globalNorm);

    /** The norm of the segments {@code [fromSegment, toSegment)} as call {@code ofCall} measured them. */
    double norm(int fromSegment, int toSegment, long ofCall);

    /** What call {@code ofCall} multiplied a segment by. */
    double coefficient(int segment, long ofCall);

    /** Whether the last clip ended with something thrown after it had begun to write. */
    boolean isPartlyClipped();

    /** Where on a device the last clip's coefficient is. */
    long coefficientAddress();

    /** Where on a device it is written whether the last clip found a NaN or an infinity. */
    long nonFiniteAddress();

    /** Lets go of streams. */
    void clear();
}
