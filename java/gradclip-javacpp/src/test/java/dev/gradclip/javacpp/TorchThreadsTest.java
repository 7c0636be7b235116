// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.javacpp;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.gradclip.Backend;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
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
    /** LibTorch's threads that a clip used and that the JVM did not know before, in a training thread of its own. */
    private static int used(UnaryOperator<TorchClipperBuilder> settings) throws InterruptedException {
        List<Integer> counts = new ArrayList<>();
        Thread trainer = new Thread(() -> {
            Tensor parameter = Torch.withOnes(1 << 21);
            Set<Thread> before = known();
            try (TorchClipper clipper = settings.apply(
                            TorchClipper.builder().add("weight", parameter).backend(Backend.NATIVE))
                    .build()) {
                for (int i = 0; i < 20; i++) assertEquals(Math.sqrt(1 << 21), clipper.globalNorm());
                Set<Thread> now = known();
                now.removeAll(before);
                counts.add(now.size());
            }
        });
        trainer.start();
        trainer.join();
        assertEquals(1, counts.size(), "the training thread died");
        return counts.get(0);
    }

    /** Those of an earlier training thread, which end when they come to it, among them. */
    private static Set<Thread> known() {
        Set<Thread> threads = new HashSet<>(Thread.getAllStackTraces().keySet());
        threads.removeIf(thread -> !thread.getName().equals("gradclip-openmp"));
        return threads;
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
