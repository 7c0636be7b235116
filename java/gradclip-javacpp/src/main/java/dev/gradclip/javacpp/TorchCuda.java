// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.javacpp;

import dev.gradclip.CudaStream;
import org.bytedeco.cuda.cudart.CUstream_st;
import org.bytedeco.pytorch.cuda.CUDAStream;
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
}
