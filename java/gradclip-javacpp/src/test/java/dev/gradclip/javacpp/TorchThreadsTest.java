// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.javacpp;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.gradclip.Backend;
import dev.gradclip.HelperThreads;
import java.util.function.UnaryOperator;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;

/** Whose threads do the work. */
@ExtendWith(Torch.class)
@Timeout(120)
class TorchThreadsTest {
    /** The number of LibTorch's threads that a clip used, in a training thread of its own. */
    private static int used(UnaryOperator<TorchClipperBuilder> settings) throws InterruptedException {
        return HelperThreads.of(() -> {
                    Tensor parameter = Torch.withOnes(1 << 21);
                    try (TorchClipper clipper = settings.apply(TorchClipper.builder()
                                    .add("weight", parameter)
                                    .backend(Backend.NATIVE))
                            .build()) {
                        for (int i = 0; i < 20; i++) assertEquals(Math.sqrt(1 << 21), clipper.globalNorm());
                    }
                })
                .size();
    }

    @Test
    void libTorchsOwnUnlessThreadsAreAskedFor() throws InterruptedException {
        assumeTrue(Backend.NATIVE.isAvailable(), "plain Java finds no OpenMP threads");
        int before = torch.get_num_threads();
        try {
            torch.set_num_threads(3);
            assertEquals(2, used(builder -> builder));
            assertEquals(0, used(builder -> builder.threads(3)));
            torch.set_num_threads(1);
            assertEquals(0, used(builder -> builder));
        } finally {
            torch.set_num_threads(before);
        }
    }
}
