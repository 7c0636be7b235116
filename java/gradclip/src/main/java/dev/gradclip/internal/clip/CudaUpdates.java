// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.clip;

import dev.gradclip.DType;
import dev.gradclip.internal.binding.DeviceBinding;
import dev.gradclip.internal.cuda.CudaUpdateState;
import dev.gradclip.internal.update.Progress;
import dev.gradclip.internal.update.StateForm;
import dev.gradclip.internal.update.UpdateMemory;
import java.nio.ByteBuffer;
import java.util.List;

/** The updates of one clipper on a CUDA device. */
final class CudaUpdates implements UpdateMemory {
    private final DeviceBinding binding;
    private final CudaUpdateState state;

    CudaUpdates(DeviceBinding binding, StateForm form) {
        this.binding = binding;
        binding.requireUpdatable();
        state = new CudaUpdateState(binding.plan(), form, binding.size(), binding.segments());
    }

    CudaUpdateState state() {
        return state;
    }

    @Override
    public StateForm form() {
        return state.form();
    }

    @Override
    public Progress progress() {
        return state.progress();
    }

    @Override
    public void progressSet() {
        state.progressSet();
    }

    @Override
    public DType weightsType(int tensor) {
        return binding.weightsType(tensor);
    }

    @Override
    public List<ByteBuffer> read(int slot, int tensor) {
        return state.read(slot, tensor, binding.length(tensor) * dtype(tensor).bytes());
    }

    @Override
    public void written(int slot, int tensor, List<ByteBuffer> buffers) {
        state.write(slot, tensor, buffers);
    }
}
