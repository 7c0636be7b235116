// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.javacpp;

import dev.gradclip.CudaStream;
import org.bytedeco.cuda.cudart.CUstream_st;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Backend;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.cuda.CUDAStream;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.DeviceType;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.bytedeco.pytorch.global.torch_cuda;

/**
 * The calls that need LibTorch's CUDA library, loaded when a gradient is on a CUDA device and not before.
 *
 * <p>Not checked here, for want of a GPU. On a host with one, CUDA 13.1 and cuDNN, this runs {@code TorchCudaTest}:
 *
 * <pre>{@code mvn -pl java/gradclip-javacpp -am verify -Dpytorch.classifier=linux-x86_64-gpu}</pre>
 */
final class TorchCuda {
    private TorchCuda() {}

    /** The stream that LibTorch gives this thread's work on a device to. */
    static CudaStream currentStream(int device) {
        try (CUDAStream stream = torch_cuda.getCurrentCUDAStream((byte) device);
                CUstream_st handle = stream.stream()) {
            return CudaStream.of(handle == null ? 0 : handle.address());
        }
    }

    /** Enqueues the sum over all ranks of a FLOAT64 at an address; LibTorch's current stream waits for it. */
    @SuppressWarnings("try") // a scope is there to be closed
    static void addUp(Backend group, long address, int device) {
        try (PointerScope scope = new PointerScope()) {
            TensorOptions options = new TensorOptions(new Device(DeviceType.CUDA, (byte) device))
                    .dtype(new ScalarTypeOptional(ScalarType.Double));
            Tensor one = torch.from_blob(new At(address), new long[] {1}, options);
            // On NCCL's groups this enqueues a wait, and does not wait.
            group.allreduce(new TensorVector(one))._wait();
        }
    }

    /** Memory of somebody else at an address. */
    private static final class At extends Pointer {
        At(long address) {
            this.address = address;
        }
    }
}
