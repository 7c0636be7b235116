// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.cuda;

import dev.gradclip.Update;
import dev.gradclip.internal.jni.NativeCuda;
import dev.gradclip.internal.reduce.SegmentLayout;
import dev.gradclip.internal.update.Progress;
import dev.gradclip.internal.update.UpdateForm;
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
    private final UpdateForm form;
    private final int tensors;
    private final UpdateTable numbers = new UpdateTable(0);
    private final long numbersAddress = NativeCuda.address(numbers.memory());

    /** The steps as they were copied last, which a file that is loaded may change here. */
    private final Progress progress;

    private final ByteBuffer copied;

    /** True if the device has been given a step since the copy. */
    private boolean isBehind;

    /** State for the weights of a plan's gradients. */
    public CudaUpdateState(CudaPlan plan, UpdateForm form, int tensors, SegmentLayout segments) {
        this.plan = plan;
        this.form = form;
        this.tensors = tensors;
        progress = new Progress(tensors);
        copied = direct(Math.multiplyExact(tensors, PROGRESS_BYTES));
        write();
        ByteBuffer firstPieces = direct(Math.multiplyExact(4, tensors + 1));
        for (int i = 0; i <= tensors; i++) firstPieces.putInt(4 * i, segments.from(i));
        plan.createUpdates(form, firstPieces);
    }

    private static ByteBuffer direct(int bytes) {
        return ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder());
    }

    /** The form of the updates. */
    public UpdateForm form() {
        return form;
    }

    /** The address of an update's numbers, for a step that is enqueued before the next one asks. */
    long numbers(Update update) {
        upload();
        numbers.setUpdate(update);
        isBehind = true;
        return numbersAddress;
    }

    /** The steps of each tensor, after all steps so far; what is set there goes to the device with the next step. */
    public Progress progress() {
        if (isBehind) {
            plan.copyProgress(copied, true);
            for (int i = 0; i < tensors; i++) {
                int at = i * PROGRESS_BYTES;
                progress.set(i, copied.getLong(at), copied.getDouble(at + 8), copied.getDouble(at + 16));
            }
            isBehind = false;
        }
        return progress;
    }

    /** Gives the device steps that were set here since the copy. */
    private void upload() {
        if (!isBehind && write()) plan.copyProgress(copied, false);
    }

    /** Writes the steps as they are here; returns true if any is another than was copied. */
    private boolean write() {
        boolean differs = false;
        for (int i = 0; i < tensors; i++) {
            int at = i * PROGRESS_BYTES;
            differs |= copied.getLong(at) != progress.steps(i)
                    || copied.getDouble(at + 8) != progress.power1(i)
                    || copied.getDouble(at + 16) != progress.power2(i);
            copied.putLong(at, progress.steps(i));
            copied.putDouble(at + 8, progress.power1(i));
            copied.putDouble(at + 16, progress.power2(i));
        }
        return differs;
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
