// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.clip;

import dev.gradclip.ClipRule;
import dev.gradclip.DeviceNorm;
import dev.gradclip.NormType;
import dev.gradclip.internal.cuda.CudaCapture;
import dev.gradclip.internal.cuda.DeviceFigure;
import dev.gradclip.internal.cuda.StreamHandle;
import dev.gradclip.internal.rule.ResolvedRule;
import dev.gradclip.internal.rule.TensorRange;
import org.jspecify.annotations.Nullable;

/**
 * Measure, decide, apply where a clipper's gradients are: {@link CpuPhases} on the host, {@link CudaPhases} on a
 * device.
 */
public interface Phases {
    /** Clips, and fills the call's figures. */
    void clip(Call call);

    /** Measures the norm over all gradients now. */
    double globalNorm(NormType type);

    /** Measures some of the gradients, for a later {@link Call.Kind#APPLY}. */
    void measure(NormType type, TensorRange range, StreamHandle stream);

    /** The norm of the segments {@code [fromSegment, toSegment)} as call {@code ofCall} measured them. */
    double norm(int fromSegment, int toSegment, long ofCall);

    /** The factor that call {@code ofCall} multiplied a segment by. */
    double coefficient(int segment, long ofCall);

    /** Returns true if the last clip ended with something thrown after it had begun to write. */
    boolean isPartlyClipped();

    /** The address where the last clip or decision left a figure on the device. */
    long address(DeviceFigure figure);

    /** Returns true if the figures of a pending call have come. */
    default boolean isComplete(long ofCall) {
        return true;
    }

    /** Waits for the figures of a pending call. */
    default void read(long ofCall, Figures into) {
        throw new IllegalStateException("the figures of a clip on the host are there when it returns");
    }

    /** Makes a clip part of the graph that the stream is captured into; the norm is null where the clip measures it. */
    default CudaCapture capture(ResolvedRule rule, @Nullable DeviceNorm norm, StreamHandle stream) {
        throw new IllegalStateException("the gradients are in host memory, where nothing can be captured; use clip");
    }

    /** Gives a captured clip another rule's numbers. */
    default void setRule(CudaCapture capture, ClipRule rule, StreamHandle stream) {
        throw new IllegalStateException("the gradients are in host memory, where nothing is captured");
    }

    /** The figures of the latest replay of a captured clip. */
    default void latest(CudaCapture capture, Figures into) {
        throw new IllegalStateException("the gradients are in host memory, where nothing is captured");
    }

    /** Lets go of streams. */
    default void clear() {}

    /** The norm type that call {@code ofCall} measured, if the latest call is that one. */
    static NormType requireCurrent(long ofCall, long latest, @Nullable NormType measured) {
        if (ofCall != latest) {
            throw new IllegalStateException(
                    "the clipper has measured again since; read per-tensor figures before the next call");
        }
        return requireMeasured(measured);
    }

    /** The norm type, where one was measured. */
    static NormType requireMeasured(@Nullable NormType measured) {
        if (measured == null) throw new IllegalStateException("this call measured no norms");
        return measured;
    }
}
