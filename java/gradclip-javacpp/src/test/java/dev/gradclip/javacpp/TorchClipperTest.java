// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.javacpp;

import static org.bytedeco.pytorch.global.torch.ones;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import dev.gradclip.Backend;
import dev.gradclip.ClipEvent;
import dev.gradclip.ClipResult;
import dev.gradclip.ClipRule;
import dev.gradclip.GradientClipper;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executor;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.function.Executable;

/** The words of the clipper, its names, and what it costs. */
@ExtendWith(Torch.class)
class TorchClipperTest {
    private static String message(Class<? extends Exception> type, Executable call) {
        return String.valueOf(assertThrows(type, call).getMessage());
    }

    @Test
    void aModulesParametersHaveTheirNames() {
        try (TorchClipper clipper = TorchClipper.of(new SmallNet())) {
            assertEquals(
                    List.of("conv.weight", "conv.bias", "bn.weight", "bn.bias", "fc.weight", "fc.bias"),
                    clipper.names());
        }
    }

    @Test
    void twoModulesNeedNamesOfTheirOwn() {
        LinearImpl a = new LinearImpl(2, 2);
        LinearImpl b = new LinearImpl(2, 2);
        TorchClipperBuilder builder = TorchClipper.builder().add(a);
        assertTrue(message(IllegalArgumentException.class, () -> builder.add(b)).contains("'weight'"));
        try (TorchClipper clipper =
                TorchClipper.builder().add("actor", a).add("critic", b).build()) {
            assertEquals(List.of("actor.weight", "actor.bias", "critic.weight", "critic.bias"), clipper.names());
        }
    }

    @Test
    void asManyNamesAsParameters() {
        TensorVector two = Torch.vector(Torch.parameter(2), Torch.parameter(2));
        String said = message(IllegalArgumentException.class, () -> TorchClipper.of(two, List.of("a")));
        assertTrue(said.contains("1 names for 2 parameters"), said);
        String twice = message(IllegalArgumentException.class, () -> TorchClipper.of(two, List.of("a", "a")));
        assertTrue(twice.contains("two parameters named 'a'"), twice);
        String undefined = message(IllegalArgumentException.class, () -> TorchClipper.of(Torch.vector(new Tensor())));
        assertTrue(undefined.contains("parameter 0 is an undefined tensor"), undefined);
    }

    @Test
    void aListenerHearsOfEachClip() {
        List<ClipEvent> heard = new ArrayList<>();
        Tensor a = Torch.withOnes(16);
        try (TorchClipper clipper =
                TorchClipper.builder().add("a", a).listener(heard::add).build()) {
            clipper.clipByGlobalNorm(2);
            clipper.clipByGlobalNorm(8);
            a.mutable_grad().put(new Tensor());
            clipper.clipByGlobalNorm(8);
        }
        assertEquals(List.of(0L, 1L, 2L), heard.stream().map(ClipEvent::step).toList());
        assertEquals(4, heard.get(0).globalNorm());
        assertTrue(heard.get(0).clipped());
        assertEquals(1, heard.get(1).coefficient());
        assertEquals(0, heard.get(2).globalNorm());
    }

    @Test
    void eachVerb() {
        Tensor a = Torch.withOnes(4);
        Tensor b = Torch.withOnes(12);
        try (TorchClipper clipper = TorchClipper.of(Torch.vector(a, b))) {
            assertEquals(4, clipper.globalNorm());
            assertEquals(2, clipper.clipPerTensorNorm(2).tensorNorm(0));
            assertEquals(2, Torch.norm(b.grad()), 1e-5);
            assertEquals(2, Torch.norm(a.grad()), 1e-5);
            clipper.clipWithNorm(1, 2);
            assertEquals(1, Torch.norm(a.grad()), 1e-5);
            clipper.clipByValue(-1, 0.25);
            assertEquals(0.5, Torch.norm(a.grad()), 1e-5);
            clipper.clipByGlobalNormAsync(0);
            assertEquals(0, Torch.norm(a.grad(), b.grad()));
        }
    }

    @Test
    void collectAndRebindGiveTheClipperOfThisStep() {
        Tensor a = Torch.withOnes(4);
        try (TorchClipper clipper = TorchClipper.of(Torch.vector(a), List.of("a"))) {
            assertTrue(message(IllegalStateException.class, clipper::rebind).contains("collect()"));
            clipper.collect();
            GradientClipper bound = clipper.rebind();
            assertEquals(List.of("a"), bound.names());
            assertEquals(2, bound.prepare(ClipRule.globalNorm(1)).run().globalNorm());
        }
        assertArrayEquals(new double[] {.5, .5, .5, .5}, Torch.values(a.grad()), 1e-6);
    }

    /** A collection that was refused is none: what was found before it is not bound again. */
    @Test
    void afterACollectionThatWasRefusedNothingIsBound() {
        Tensor parameter = Torch.withOnes(4);
        try (TorchClipper clipper = TorchClipper.of(Torch.vector(parameter))) {
            clipper.collect();
            parameter.mutable_grad().put(ones(4, 2).select(1, 0));
            assertThrows(IllegalArgumentException.class, clipper::collect);
            assertTrue(message(IllegalStateException.class, clipper::rebind).contains("collect() comes before"));
            parameter.mutable_grad().put(ones(4));
            clipper.collect();
            assertEquals(2, clipper.rebind().globalNorm());
        }
    }

    @Test
    void theBackendThatIsAskedFor() {
        try (TorchClipper clipper = TorchClipper.builder()
                .add("a", Torch.withOnes(4))
                .backend(Backend.JAVA)
                .threads(1)
                .build()) {
            clipper.collect();
            assertEquals(Backend.JAVA, clipper.rebind().backend());
        }
        try (TorchClipper clipper = TorchClipper.builder()
                .add("a", Torch.withOnes(4))
                .backend(Backend.CUDA)
                .build()) {
            String said = message(IllegalArgumentException.class, clipper::globalNorm);
            assertTrue(said.contains("are on the CPU, which backend CUDA does not reach"), said);
        }
    }

    @Test
    void aClosedClipperSaysSo() {
        TorchClipper clipper = TorchClipper.of(Torch.vector(Torch.withOnes(4)));
        clipper.globalNorm();
        clipper.close();
        clipper.close();
        assertTrue(message(IllegalStateException.class, clipper::globalNorm).contains("closed"));
        assertTrue(message(IllegalStateException.class, clipper::collect).contains("closed"));
    }

    @Test
    void aSecondThreadIsRefused() {
        List<TorchClipper> clippers = new ArrayList<>();
        List<String> refusals = new CopyOnWriteArrayList<>();
        Executor meddler = task -> {
            Thread other = new Thread(() -> refusals.add(
                    message(IllegalStateException.class, () -> clippers.get(0).collect())));
            other.start();
            assertDoesNotThrow(() -> other.join());
            refusals.add(
                    message(IllegalStateException.class, () -> clippers.get(0).close()));
        };
        try (TorchClipper clipper = TorchClipper.builder()
                .add("large", Torch.withOnes(1 << 20))
                .executor(meddler, 2)
                .build()) {
            clippers.add(clipper);
            assertEquals(1024, clipper.globalNorm());
        }
        assertEquals(2, refusals.size());
        assertTrue(refusals.get(0).contains("one thread at a time"), refusals.get(0));
        assertTrue(refusals.get(1).contains("own executor"), refusals.get(1));
    }

    @Test
    void aStepMakesNoNativeHandleAndLittleGarbage() {
        int tensors = 200;
        Tensor[] parameters = new Tensor[tensors];
        for (int i = 0; i < tensors; i++) parameters[i] = Torch.withOnes(4);
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        try (TorchClipper clipper = TorchClipper.of(Torch.vector(parameters))) {
            for (int i = 0; i < 50; i++) clipper.clipByGlobalNorm(1e9);
            System.gc();
            long handles = Pointer.totalCount();
            long bytes = threads.getCurrentThreadAllocatedBytes();
            ClipResult result = clipper.clipByGlobalNorm(1e9);
            bytes = threads.getCurrentThreadAllocatedBytes() - bytes;
            assertTrue(Pointer.totalCount() <= handles, "the collector may free others' meanwhile");
            assertTrue(bytes <= 100L * tensors, bytes + " bytes for " + result.tensors() + " tensors at rest");
        }
    }
}
