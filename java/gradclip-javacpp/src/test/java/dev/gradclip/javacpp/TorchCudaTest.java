// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.javacpp;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.gradclip.Backend;
import dev.gradclip.ClipRule;
import java.nio.file.Path;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.FileStore;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.bytedeco.pytorch.nccl.ProcessGroupNCCL;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** Gradients on a device; needs LibTorch's CUDA natives and a GPU. */
@ExtendWith(Torch.class)
class TorchCudaTest {
    @BeforeEach
    void device() {
        assumeTrue(torch.cuda_is_available(), "LibTorch finds no CUDA device");
        assumeTrue(Backend.CUDA.isAvailable(), Backend.CUDA::reason);
    }

    private static Tensor onDevice(Tensor gradient) {
        Tensor parameter = Torch.parameter(4);
        parameter.mutable_grad().put(gradient.to(new Device("cuda:0"), ScalarType.Float));
        return parameter;
    }

    @Test
    void gradientsAreClippedOnTheDevice() {
        Tensor parameter = onDevice(torch.ones(1 << 20));
        try (TorchClipper clipper = TorchClipper.of(Torch.vector(parameter))) {
            assertEquals(1024, clipper.globalNorm());
            assertEquals(1024, clipper.clipByGlobalNorm(512).globalNorm());
            assertEquals(512, clipper.clipByGlobalNormAsync(256).globalNorm(), 1e-3);
            assertEquals(256, Torch.norm(parameter.grad().cpu()), 1e-3);
        }
    }

    /** A group of one rank, whose sum is its own. */
    @Test
    void nccl(@TempDir Path folder) {
        Tensor parameter = onDevice(torch.ones(1 << 20));
        FileStore store = new FileStore(folder.resolve("store").toString(), 1);
        try (TorchClipper clipper = TorchClipper.of(Torch.vector(parameter));
                ProcessGroupNCCL group = new ProcessGroupNCCL(store, 0, 1)) {
            assertEquals(
                    1024, clipper.clipAsync(ClipRule.globalNorm(512), group).globalNorm());
            assertEquals(512, Torch.norm(parameter.grad().cpu()), 1e-3);
        }
    }

    @Test
    void oneOnTheHostAndOneOnADeviceAreRefusedByName() {
        try (TorchClipper clipper = TorchClipper.of(Torch.vector(Torch.withOnes(4), onDevice(torch.ones(4))))) {
            String message = String.valueOf(assertThrows(IllegalArgumentException.class, clipper::globalNorm)
                    .getMessage());
            assertTrue(
                    message.contains("parameter 0 is on the CPU, but that of parameter 1 is on CUDA device 0"),
                    message);
        }
    }
}
