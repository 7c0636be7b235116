// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.javacpp;

import static org.bytedeco.pytorch.global.torch.randn;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.gradclip.ClipResult;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** Gradients come, go and move: each call clips those that are there. */
@ExtendWith(Torch.class)
class GradientLifeTest {
    private final Tensor a = Torch.parameter(3);
    private final Tensor b = Torch.parameter(4);

    private static void give(Tensor parameter, double value) {
        Tensor gradient = randn(parameter.sizes().vec().get()).to(parameter.scalar_type());
        Torch.fill(gradient, value);
        parameter.mutable_grad().put(gradient);
    }

    /** The norm of what is there, found by the clipper and by hand; both halved. */
    private static void assertClips(TorchClipper clipper, Tensor... present) {
        Tensor[] gradients = new Tensor[present.length];
        for (int i = 0; i < present.length; i++) gradients[i] = present[i].grad();
        double norm = Torch.norm(gradients);
        ClipResult result = clipper.clipByGlobalNorm(norm / 2);
        assertEquals(present.length, result.tensors());
        assertEquals(norm, result.globalNorm(), 1e-6 * norm);
        assertEquals(norm / 2, Torch.norm(gradients), 1e-5 * norm);
    }

    @Test
    void noGradientAtAll() {
        try (TorchClipper clipper = TorchClipper.of(Torch.vector(a, b))) {
            ClipResult result = clipper.clipByGlobalNorm(1);
            assertEquals(0, result.tensors());
            assertEquals(0, result.globalNorm());
        }
    }

    @Test
    void noParameterAtAll() {
        try (TorchClipper clipper = TorchClipper.of(new TensorVector())) {
            assertEquals(0, clipper.clipByGlobalNorm(1).tensors());
            assertEquals(0, clipper.globalNorm());
        }
    }

    @Test
    void anAbsentGradientIsAbsentThisStepAlone() {
        try (TorchClipper clipper = TorchClipper.of(Torch.vector(a, b))) {
            give(b, 2);
            assertClips(clipper, b);
            give(a, 3);
            assertClips(clipper, a, b);
            b.mutable_grad().reset();
            assertClips(clipper, a);
        }
    }

    @Test
    void frozenParametersAreLeftOut() {
        SmallNet net = new SmallNet();
        net.conv().weight().requires_grad_(false);
        try (TorchClipper clipper = TorchClipper.of(net)) {
            net.backward();
            assertEquals(5, clipper.clipByGlobalNorm(1).tensors());
            net.conv().weight().requires_grad_(true);
            net.backward();
            assertEquals(6, clipper.clipByGlobalNorm(1).tensors());
        }
    }

    @Test
    void gradientsThatWereFreedAndAllocatedAnewAreFound() {
        SmallNet net = new SmallNet();
        try (TorchClipper clipper = TorchClipper.of(net)) {
            // Kept: then no step's can be where another's is.
            List<Tensor> kept = new ArrayList<>();
            Set<Long> addresses = new HashSet<>();
            for (int step = 0; step < 5; step++) {
                net.backward();
                Tensor[] gradients = net.gradients();
                kept.add(new Tensor(gradients[4]));
                addresses.add(gradients[4].data_ptr().address());
                double norm = Torch.norm(gradients);
                assertEquals(norm, clipper.clipByGlobalNorm(norm / 2).globalNorm(), 1e-6 * norm);
                assertEquals(norm / 2, Torch.norm(gradients), 1e-5 * norm);
            }
            assertEquals(kept.size(), addresses.size());
        }
    }

    @Test
    void zeroGradThatKeepsThemKeepsTheirAddresses() {
        SmallNet net = new SmallNet();
        try (TorchClipper clipper = TorchClipper.of(net)) {
            net.backward();
            long address = net.fc().weight().grad().data_ptr().address();
            for (int step = 0; step < 3; step++) {
                net.zero_grad(false);
                assertEquals(0, clipper.globalNorm());
                net.accumulate();
                assertEquals(address, net.fc().weight().grad().data_ptr().address());
                double norm = Torch.norm(net.gradients());
                assertEquals(norm, clipper.clipByGlobalNorm(norm / 2).globalNorm(), 1e-6 * norm);
            }
        }
    }

    @Test
    void aParameterKeepsItsGradientsPlaceWhateverBecomesOfIt() {
        try (TorchClipper clipper = TorchClipper.of(Torch.vector(a, b))) {
            give(a, 1);
            assertClips(clipper, a);
            a.set_data(randn(5));
            give(a, 2);
            assertClips(clipper, a);
            a.requires_grad_(false);
            give(a, 3);
            assertClips(clipper, a);
            a.detach_();
            a.requires_grad_(true);
            give(a, 4);
            assertClips(clipper, a);
            a.mutable_grad().reset();
            a.multiply(a).sum().backward();
            assertClips(clipper, a);
        }
    }

    @Test
    void aParameterThatNeverKnewGradientsGetsOne() {
        Tensor plain = randn(6);
        try (TorchClipper clipper = TorchClipper.of(Torch.vector(plain))) {
            assertEquals(0, clipper.clipByGlobalNorm(1).tensors());
            plain.requires_grad_(true);
            plain.multiply(plain).sum().backward();
            assertClips(clipper, plain);
        }
    }

    @Test
    void aModelThatIsGivenAnotherTypeIsClippedInIt() {
        SmallNet net = new SmallNet();
        try (TorchClipper clipper = TorchClipper.of(net)) {
            net.backward();
            clipper.clipByGlobalNorm(1);
            net.to(ScalarType.Double, false);
            net.backward();
            double norm = Torch.norm(net.gradients());
            assertEquals(norm, clipper.clipByGlobalNorm(norm / 2).globalNorm(), 1e-14 * norm);
            assertEquals(norm / 2, Torch.norm(net.gradients()), 1e-6 * norm);
            net.to(ScalarType.BFloat16, false);
            net.backward();
            double rough = Torch.norm(net.gradients());
            assertEquals(rough, clipper.globalNorm(), 1e-6 * rough);
        }
    }

    @Test
    void gradientsThatChangeTheirShapeAreTakenAsTheyAre() {
        try (TorchClipper clipper = TorchClipper.of(Torch.vector(a, b))) {
            give(a, 1);
            assertClips(clipper, a);
            a.mutable_grad().put(randn(2000));
            assertClips(clipper, a);
            a.mutable_grad().put(randn(0));
            assertEquals(0, clipper.globalNorm());
        }
    }

    @Test
    @SuppressWarnings("try") // a scope is there to be closed
    void theClipperOutlivesTheScopeItWasMadeIn() {
        TorchClipper clipper;
        Tensor c;
        try (PointerScope scope = new PointerScope()) {
            c = Torch.withOnes(4).retainReference();
            clipper = TorchClipper.of(Torch.vector(c));
        }
        try (clipper) {
            assertEquals(2, clipper.globalNorm());
            c.close();
            assertEquals(2, clipper.globalNorm(), "it has a handle of its own");
        }
    }
}
