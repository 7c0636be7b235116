// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.clip;

import dev.gradclip.ClipRule;
import dev.gradclip.DeviceNorm;
import dev.gradclip.NormType;
import dev.gradclip.Update;
import dev.gradclip.internal.cuda.CudaCapture;
import dev.gradclip.internal.cuda.DeviceFigure;
import dev.gradclip.internal.cuda.StreamHandle;
import dev.gradclip.internal.ranks.Contribution;
import dev.gradclip.internal.ranks.RankLayout;
import dev.gradclip.internal.rule.HistoryMemory;
import dev.gradclip.internal.rule.ResolvedRule;
import dev.gradclip.internal.rule.TensorRange;
import dev.gradclip.internal.update.StateForm;
import dev.gradclip.internal.update.UpdateMemory;
import org.jspecify.annotations.Nullable;

/**
 * Measures, decides and applies on the side where a clipper's gradients are: {@link CpuPhases} on the host, {@link
 * CudaPhases} on a device.
 */
public interface Phases {
    /** Does the call and fills in its figures. */
    void clip(Call call);

    /** Measures the norm over all gradients now. */
    double globalNorm(NormType type);

    /** Measures some of the gradients, for a later {@link Call.Kind#APPLY}. */
    void measure(NormType type, TensorRange range, StreamHandle stream);

    /**
     * Throws unless a clip by the rule could write, or a step with the update, whose state is made where there is none
     * yet: before ranks exchange, so that a rank that can't does not leave the others waiting.
     */
    void requireReady(ResolvedRule rule, @Nullable Update update);

    /**
     * Measures what this rank holds, for a norm over all ranks.
     *
     * @param zeroes true to set NaN and infinities to 0 first, because a rank found some
     */
    Contribution contribute(ResolvedRule rule, RankLayout layout, boolean zeroes);

    /** The norm of the segments {@code [fromSegment, toSegment)} as call {@code ofCall} measured them. */
    double norm(int fromSegment, int toSegment, long ofCall);

    /** The factor by which call {@code ofCall} multiplied a segment. */
    double coefficient(int segment, long ofCall);

    /** Returns true if the last clip threw after it had begun to write. */
    boolean isPartlyClipped();

    /** The device address of a figure of the last clip or decision. */
    long address(DeviceFigure figure);

    /** Returns true if the figures of a pending call can be read without waiting. */
    default boolean isComplete(long ofCall) {
        return true;
    }

    /** Waits for the figures of a pending call and copies them. */
    default void read(long ofCall, Figures into) {
        throw new IllegalStateException("the figures of a clip on the host are there when it returns");
    }

    /** Adds a clip to the graph that the stream is captured into; the norm is null if the clip measures it. */
    default CudaCapture capture(ResolvedRule rule, @Nullable DeviceNorm norm, StreamHandle stream) {
        throw new IllegalStateException("the gradients are in host memory, where nothing can be captured; use clip");
    }

    /** Adds a step to the graph that the stream is captured into. */
    default CudaCapture captureStep(ResolvedRule rule, Update update, StreamHandle stream) {
        throw new IllegalStateException("the gradients are in host memory, where nothing can be captured; use step");
    }

    /** Replaces the numbers of a captured step's update. */
    default void setUpdate(CudaCapture capture, Update update, StreamHandle stream) {
        throw new IllegalStateException("the gradients are in host memory, where nothing is captured");
    }

    /** Replaces the numbers of a captured clip's or step's rule. */
    default void setRule(CudaCapture capture, ClipRule rule, StreamHandle stream) {
        throw new IllegalStateException("the gradients are in host memory, where nothing is captured");
    }

    /** Copies the figures of the latest replay of a captured clip or step. */
    default void latest(CudaCapture capture, Figures into) {
        throw new IllegalStateException("the gradients are in host memory, where nothing is captured");
    }

    /** Makes memory for a rule's histories, where the gradients are. */
    HistoryMemory remember(double[] blocks);

    /** The state of updates of a form, made where there is none yet. */
    UpdateMemory updates(StateForm form);

    /** The state of updates, or null before the first. */
    @Nullable
    UpdateMemory updates();

    /** Releases the streams. */
    default void clear() {}

    /** Returns the norm type that call {@code ofCall} measured; throws if a later call has begun. */
    static NormType requireCurrent(long ofCall, long latest, @Nullable NormType measured) {
        if (ofCall != latest) {
            throw new IllegalStateException(
                    "the clipper has measured again since; read per-tensor figures before the next call");
        }
        return requireMeasured(measured);
    }

    /** Returns the norm type; throws if none was measured. */
    static NormType requireMeasured(@Nullable NormType measured) {
        if (measured == null) throw new IllegalStateException("this call measured no norms");
        return measured;
    }
}
