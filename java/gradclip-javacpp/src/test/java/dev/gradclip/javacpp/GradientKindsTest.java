// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.javacpp;

import static org.bytedeco.pytorch.global.torch.ones;
import static org.bytedeco.pytorch.global.torch.quantize_per_tensor;
import static org.bytedeco.pytorch.global.torch.randn;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.Backend;
import dev.gradclip.ClipResult;
import java.util.List;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch.MemoryFormat;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Some kinds of gradients are clipped where they are, and others are refused by name. */
@ExtendWith(Torch.class)
class GradientKindsTest {
    private static Stream<Backend> backends() {
        return Stream.of(Backend.JAVA, Backend.NATIVE).filter(Backend::isAvailable);
    }

    private static Tensor with(Tensor gradient) {
        Tensor parameter = Torch.parameter(2);
        parameter.mutable_grad().put(gradient);
        return parameter;
    }

    private static void assertHalved(Tensor gradient, double precision) {
        double[] before = Torch.values(gradient);
        double norm = Torch.norm(gradient);
        Tensor parameter = with(gradient);
        try (TorchClipper clipper = TorchClipper.of(Torch.vector(parameter))) {
            assertEquals(norm, clipper.clipByGlobalNorm(norm / 2).globalNorm(), 1e-6 * norm);
        }
        for (int i = 0; i < before.length; i++) before[i] /= 2;
        assertArrayEquals(before, Torch.values(gradient), precision);
    }

    private static void assertRefused(Tensor gradient, String... said) {
        double[] before = gradient.is_sparse() || gradient.is_meta() || gradient.is_quantized() || gradient.is_complex()
                ? new double[0]
                : Torch.values(gradient);
        TensorVector parameters = Torch.vector(Torch.withOnes(3), with(gradient));
        try (TorchClipper clipper = TorchClipper.of(parameters, List.of("layer.bias", "layer.weight"))) {
            assertRefused(clipper, said);
            assertTrue(messageOf(clipper).contains("the gradient of layer.weight"), messageOf(clipper));
        }
        if (before.length > 0) assertArrayEquals(before, Torch.values(gradient), "untouched");
        assertArrayEquals(new double[] {1, 1, 1}, Torch.values(parameters.get(0).grad()), "untouched");
    }

    private static void assertRefused(TorchClipper clipper, String... said) {
        String message = messageOf(clipper);
        for (String part : said) assertTrue(message.contains(part), message);
    }

    private static String messageOf(TorchClipper clipper) {
        return String.valueOf(assertThrows(IllegalArgumentException.class, () -> clipper.clipByGlobalNorm(1))
                .getMessage());
    }

    @Test
    void permutedGradientsWithoutGaps() {
        assertHalved(randn(2, 8, 5, 7).contiguous(MemoryFormat.ChannelsLast), 1e-6);
        assertHalved(randn(30, 20).t(), 1e-6);
    }

    @Test
    void aStorageOffsetThatAlignsToNothing() {
        for (int offset = 1; offset < 8; offset++) assertHalved(randn(4096 + 8).narrow(0, offset, 4096), 1e-6);
        assertHalved(randn(101).toType(ScalarType.BFloat16).narrow(0, 1, 100), 0.01);
    }

    @ParameterizedTest
    @MethodSource("backends")
    void mixedTypesInOneClip(Backend backend) {
        Tensor[] gradients = {
            randn(300),
            randn(300).toType(ScalarType.Double),
            randn(300).toType(ScalarType.Half),
            randn(300).toType(ScalarType.BFloat16)
        };
        double norm = Torch.norm(gradients);
        TensorVector parameters =
                Torch.vector(Stream.of(gradients).map(GradientKindsTest::with).toArray(Tensor[]::new));
        try (TorchClipper clipper =
                TorchClipper.builder().add(parameters).backend(backend).build()) {
            assertEquals(norm, clipper.clipByGlobalNorm(norm / 2).globalNorm(), 1e-6 * norm);
            assertEquals(norm / 2, Torch.norm(gradients), 1e-3 * norm);
            assertEquals(Torch.norm(gradients), clipper.globalNorm(), 1e-6 * norm);
        }
    }

    @Test
    void halvesThatBecomeTheOtherHalfAreReadAsSuch() {
        Tensor parameter = with(ones(64).toType(ScalarType.Half));
        try (TorchClipper clipper = TorchClipper.of(Torch.vector(parameter))) {
            assertEquals(8, clipper.globalNorm());
            parameter.mutable_grad().put(ones(64).toType(ScalarType.BFloat16));
            assertEquals(8, clipper.globalNorm());
        }
    }

    @Test
    void aViewWithGaps() {
        assertRefused(randn(4, 8).narrow(1, 0, 4), "view with gaps", "sizes [4, 4], strides [8, 1]", "contiguous()");
    }

    @Test
    void anExpandedGradient() {
        assertRefused(randn(4, 1).expand(4, 4), "repeated elements", "contiguous()");
    }

    @Test
    void typesThatAreNotClipped() {
        assertRefused(ones(3).toType(ScalarType.Int), "Int", "BFloat16");
        assertRefused(ones(3).toType(ScalarType.Float8_e4m3fn).detach(), "Float8_e4m3fn");
        assertRefused(ones(3).toType(ScalarType.ComplexFloat), "complex", "view_as_real");
        assertRefused(quantize_per_tensor(ones(3), 0.1, 0, ScalarType.QInt8), "quantised");
    }

    @Test
    void aLazyNegation() {
        assertRefused(ones(3)._neg_view(), "negated lazily", "resolve_neg");
    }

    @Test
    void anotherDevice() {
        assertRefused(ones(3).to(new Device("meta"), ScalarType.Float), "is on meta");
    }

    @Test
    void memoryThatTwoGradientsShare() {
        Tensor all = randn(10);
        TensorVector parameters = Torch.vector(with(all.narrow(0, 0, 6)), with(all.narrow(0, 4, 6)));
        try (TorchClipper clipper = TorchClipper.of(parameters, List.of("encoder", "decoder"))) {
            assertRefused(clipper, "encoder", "decoder", "share memory");
        }
    }

    @Test
    void tiedWeightsThatAreOneTensorAreTakenOnce() {
        Module net = new Module("tied");
        Tensor weight = Torch.withOnes(4);
        net.register_parameter("embedding", weight);
        net.register_parameter("head", weight);
        assertEquals(2, net.named_parameters().size());
        try (TorchClipper clipper = TorchClipper.of(net)) {
            ClipResult result = clipper.clipByGlobalNorm(1);
            assertEquals(2, result.globalNorm());
            assertEquals(1, result.tensors());
            assertEquals(List.of("embedding"), clipper.names());
            assertEquals(1, Torch.norm(weight.grad()), 1e-5);
        }
    }

    @Test
    void tiedWeightsThatShareAGradientAreRefusedByName() {
        Tensor gradient = ones(4);
        TensorVector parameters = Torch.vector(with(gradient), with(gradient));
        try (TorchClipper clipper = TorchClipper.of(parameters)) {
            assertRefused(clipper, "parameter 0", "parameter 1", "share memory");
        }
    }

    @Test
    void viewsIntoOneTensorThatDoNotOverlap() {
        Tensor bucket = randn(100);
        TensorVector parameters = Torch.vector(with(bucket.narrow(0, 0, 33)), with(bucket.narrow(0, 33, 67)));
        double norm = Torch.norm(bucket);
        try (TorchClipper clipper = TorchClipper.of(parameters)) {
            assertEquals(norm, clipper.clipByGlobalNorm(norm / 2).globalNorm(), 1e-6 * norm);
            assertEquals(norm / 2, Torch.norm(bucket), 1e-5 * norm);
        }
    }
}
