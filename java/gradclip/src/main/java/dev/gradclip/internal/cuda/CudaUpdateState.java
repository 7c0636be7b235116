// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.cuda;

import dev.gradclip.Update;
import dev.gradclip.internal.jni.NativeCuda;
import dev.gradclip.internal.reduce.SegmentLayout;
import dev.gradclip.internal.update.Progress;
import dev.gradclip.internal.update.StateForm;
import dev.gradclip.internal.update.UpdateTable;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;

/**
 * The state of a plan's updates, which lies on the device: the host copies it on demand, and so the steps of tensors,
 * which the device counts. It is freed with the plan.
 */
public final class CudaUpdateState {
    /** Bytes of a {@code gradclip::TensorProgress}: steps, two products of betas, and 8 unused. */
    private static final int PROGRESS_BYTES = 32;

    /** Bytes of a copy's buffer, which are counted in an int. */
    private static final long MOST_BYTES = 1 << 30;

    private final CudaPlan plan;
    private final StateForm form;
    private final int tensors;
    private final UpdateTable numbers = new UpdateTable(0);
    private final long numbersAddress = NativeCuda.address(numbers.memory());

    /** The steps as they were copied last. */
    private final Progress progress;

    private final ByteBuffer copied;

    /** State for the weights of a plan's gradients. */
    public CudaUpdateState(CudaPlan plan, StateForm form, int tensors, SegmentLayout segments) {
        this.plan = plan;
        this.form = form;
        this.tensors = tensors;
        progress = new Progress(tensors);
        copied = direct(Math.multiplyExact(tensors, PROGRESS_BYTES));
        ByteBuffer firstPieces = direct(Math.multiplyExact(4, tensors + 1));
        for (int i = 0; i <= tensors; i++) firstPieces.putInt(4 * i, segments.from(i));
        plan.createUpdates(form, firstPieces);
    }

    private static ByteBuffer direct(int bytes) {
        return ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder());
    }

    /** The form of the state. */
    public StateForm form() {
        return form;
    }

    /** The address of an update's numbers, for a call that has read them before the next one asks. */
    long numbers(Update update) {
        numbers.setUpdate(update);
        return numbersAddress;
    }

    /**
     * The steps of each tensor, after all calls so far. They are copied each time: the graph of a captured step counts
     * steps that the host does not see.
     */
    public Progress progress() {
        plan.copyProgress(copied, true);
        for (int i = 0; i < tensors; i++) {
            int at = i * PROGRESS_BYTES;
            progress.set(i, copied.getLong(at), copied.getDouble(at + 8), copied.getDouble(at + 16));
        }
        return progress;
    }

    /** Gives the device the steps that were set in {@link #progress}. */
    public void progressSet() {
        for (int i = 0; i < tensors; i++) {
            int at = i * PROGRESS_BYTES;
            copied.putLong(at, progress.steps(i));
            copied.putDouble(at + 8, progress.power1(i));
            copied.putDouble(at + 16, progress.power2(i));
        }
        plan.copyProgress(copied, false);
    }

    /** A copy of a tensor's state of so many bytes. */
    public List<ByteBuffer> read(int slot, int tensor, long bytes) {
        List<ByteBuffer> buffers = new ArrayList<>();
        for (long from = 0; from < bytes; from += MOST_BYTES) {
            ByteBuffer buffer = direct((int) Math.min(MOST_BYTES, bytes - from));
            plan.copyState(slot, tensor, from, buffer, true);
            buffers.add(buffer);
        }
        return buffers;
    }

    /** Copies the buffers of {@link #read} back. */
    public void write(int slot, int tensor, List<ByteBuffer> buffers) {
        long from = 0;
        for (ByteBuffer buffer : buffers) {
            plan.copyState(slot, tensor, from, buffer, false);
            from += buffer.capacity();
        }
    }
}
