// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.clip;

import dev.gradclip.DType;
import dev.gradclip.Update;
import dev.gradclip.internal.binding.HostBinding;
import dev.gradclip.internal.cpu.CpuPlan;
import dev.gradclip.internal.cpu.CpuUpdateState;
import dev.gradclip.internal.reduce.SegmentLayout;
import dev.gradclip.internal.update.Progress;
import dev.gradclip.internal.update.StateForm;
import dev.gradclip.internal.update.UpdateMemory;
import dev.gradclip.internal.update.UpdateTable;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;

/** The updates of one clipper on the CPU: its table of numbers, its state, and the steps of each tensor. */
final class CpuUpdates implements UpdateMemory {
    private final CpuPlan plan;
    private final HostBinding binding;
    private final SegmentLayout segments;
    private final CpuUpdateState state;
    private final UpdateTable table;
    private final Progress progress;

    CpuUpdates(HostBinding binding, StateForm form) {
        plan = binding.plan();
        this.binding = binding;
        segments = binding.segments();
        binding.requireWeights();
        binding.requireUpdatable();
        state = plan.updateState(form, segments.gradients());
        table = new UpdateTable(segments.gradients());
        progress = new Progress(binding.size());
    }

    UpdateTable table() {
        return table;
    }

    /** Sets what clipping makes of the gradients of a segment of a tensor. */
    void setClip(int tensor, int segment, double coefficient, double min, double max) {
        table.setClip(segment, coefficient, min, max, dtype(tensor));
    }

    /** Sets one scale and one pair of limits for all segments of the tensors {@code [from, to)}. */
    void setClips(int from, int to, double coefficient, double min, double max) {
        for (int i = from; i < to; i++) {
            for (int s = segments.from(i); s < segments.from(i + 1); s++) setClip(i, s, coefficient, min, max);
        }
    }

    /**
     * Updates the weights by the clip that was set, and counts the step; returns how many gradients a limit changed.
     */
    long step(Update update) {
        table.setUpdate(update);
        for (int i = 0; i < binding.size(); i++) {
            progress.write(i, update, table, segments.from(i), segments.from(i + 1));
        }
        long changed = plan.update(table, state, segments.gradients());
        for (int i = 0; i < binding.size(); i++) if (binding.isPresent(i)) progress.count(i, update);
        return changed;
    }

    @Override
    public StateForm form() {
        return state.form();
    }

    @Override
    public Progress progress() {
        return progress;
    }

    @Override
    public void progressSet() {}

    @Override
    public DType weightsType(int tensor) {
        return binding.shape(binding.size() + tensor).dtype();
    }

    @Override
    public List<ByteBuffer> read(int slot, int tensor) {
        List<ByteBuffer> buffers = new ArrayList<>();
        for (int s = segments.from(tensor); s < segments.from(tensor + 1); s++) {
            for (int piece = plan.firstPiece(s); piece < plan.firstPiece(s + 1); piece++) {
                for (int c = 0; c < state.chunks(piece); c++) buffers.add(state.chunk(slot, piece, c));
            }
        }
        return buffers;
    }

    @Override
    public void written(int slot, int tensor, List<ByteBuffer> buffers) {}
}
