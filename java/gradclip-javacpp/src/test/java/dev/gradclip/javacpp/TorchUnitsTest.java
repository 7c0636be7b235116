// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.javacpp;

import static org.bytedeco.pytorch.global.torch.ones;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.Backend;
import dev.gradclip.ClipResult;
import dev.gradclip.ClipRule;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Clips by units of a real model, beside the formulas worked in double on LibTorch's own numbers. */
@ExtendWith(Torch.class)
class TorchUnitsTest {
    private static final double LAMBDA = 0.01;

    private static Stream<Backend> backends() {
        return Stream.of(Backend.JAVA, Backend.NATIVE).filter(Backend::isAvailable);
    }

    private static TorchClipper clipper(SmallNet net, Backend backend) {
        return TorchClipper.builder().add(net).backend(backend).units().build();
    }

    private static double[][] gradients(SmallNet net) {
        return Arrays.stream(net.gradients()).map(Torch::values).toArray(double[][]::new);
    }

    private static double norm(double[] values, int from, int to) {
        double sum = 0;
        for (int i = from; i < to; i++) sum += values[i] * values[i];
        return Math.sqrt(sum);
    }

    /** timm's: units are the leading dimension, of a vector the whole. */
    private static int units(Tensor parameter) {
        return parameter.dim() > 1 ? (int) parameter.size(0) : 1;
    }

    @ParameterizedTest
    @MethodSource("backends")
    void adaptiveClippingOverSomeStepsIsTimms(Backend backend) {
        SmallNet net = new SmallNet();
        TensorVector parameters = net.parameters();
        try (TorchClipper clipper = clipper(net, backend)) {
            for (int step = 0; step < 3; step++) {
                net.backward();
                double[][] before = gradients(net);
                ClipResult result = clipper.clip(ClipRule.adaptive(LAMBDA));
                double[][] after = gradients(net);
                boolean someClipped = false;
                boolean someKept = false;
                for (int i = 0; i < before.length; i++) {
                    double[] weights = Torch.values(parameters.get(i));
                    int units = units(parameters.get(i));
                    int length = weights.length / units;
                    for (int unit = 0; unit < units; unit++) {
                        int from = unit * length;
                        double own = norm(before[i], from, from + length);
                        double max = LAMBDA * Math.max(norm(weights, from, from + length), 1e-3);
                        double coefficient = own < max ? 1 : max / Math.max(own, 1e-6);
                        someClipped |= coefficient < 1;
                        someKept |= coefficient == 1;
                        assertEquals(coefficient, result.rowCoefficient(i, unit), 2e-7 * coefficient);
                        assertEquals(own, result.rowNorm(i, unit), 2e-7 * own);
                        for (int k = from; k < from + length; k++) {
                            double want = before[i][k] * coefficient;
                            assertEquals(want, after[i][k], 1e-6 * Math.abs(want));
                        }
                    }
                }
                assertTrue(someClipped && someKept, "both cases");
                net.step();
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void perRowNormHoldsForEachUnit(Backend backend) {
        SmallNet net = new SmallNet();
        TensorVector parameters = net.parameters();
        try (TorchClipper clipper = clipper(net, backend)) {
            net.backward();
            double maxNorm = norm(gradients(net)[0], 0, 27);
            assertTrue(clipper.clip(ClipRule.perRowNorm(maxNorm / 2)).clipped());
            double[][] after = gradients(net);
            for (int i = 0; i < after.length; i++) {
                int length = after[i].length / units(parameters.get(i));
                for (int from = 0; from < after[i].length; from += length) {
                    assertTrue(norm(after[i], from, from + length) <= maxNorm / 2 * (1 + 1e-6));
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void weightsAreFoundWhereTheyAreNow(Backend backend) {
        LinearImpl layer = new LinearImpl(4, 3);
        try (TorchClipper clipper =
                TorchClipper.builder().add(layer).backend(backend).units().build()) {
            fill(layer, 1);
            assertEquals(LAMBDA * 2 / 2, clipper.clip(ClipRule.adaptive(LAMBDA)).rowCoefficient(0, 0), 1e-12);
            // Other memory, then another type than before and than the gradient's.
            for (ScalarType type : List.of(ScalarType.Float, ScalarType.BFloat16, ScalarType.Double)) {
                layer.weight().set_data(ones(3, 4).mul(new Scalar(10)).toType(type));
                layer.weight().mutable_grad().put(ones(3, 4));
                ClipResult result = clipper.clip(ClipRule.adaptive(LAMBDA));
                for (int row = 0; row < 3; row++) assertEquals(LAMBDA * 20 / 2, result.rowCoefficient(0, row), 1e-12);
            }
        }
    }

    /** The address where the weights of an absent gradient were may be another's now. */
    @ParameterizedTest
    @MethodSource("backends")
    void weightsOfAnAbsentGradientAreLeftOut(Backend backend) {
        LinearImpl one = new LinearImpl(4, 3);
        LinearImpl other = new LinearImpl(4, 3);
        fill(one, 1);
        fill(other, 1);
        try (TorchClipper clipper = TorchClipper.builder()
                .add("one", one.weight())
                .add("other", other.weight())
                .backend(backend)
                .units()
                .build()) {
            clipper.clip(ClipRule.adaptive(LAMBDA));
            Tensor memory = one.weight().detach();
            one.weight().mutable_grad().reset();
            one.weight().set_data(ones(3, 4));
            other.weight().set_data(memory);
            other.weight().mutable_grad().put(ones(3, 4));
            ClipResult result = clipper.clip(ClipRule.adaptive(LAMBDA));
            assertEquals(1, result.tensors());
            assertEquals(LAMBDA, result.rowCoefficient(1, 0), 1e-12);
        }
    }

    private static void fill(LinearImpl layer, double value) {
        layer.weight().set_data(ones(3, 4).mul(new Scalar(value)));
        layer.weight().mutable_grad().put(ones(3, 4));
        layer.bias().mutable_grad().put(ones(3));
    }

    @Test
    void aLayoutWithoutUnitsIsRefusedByName() {
        LinearImpl layer = new LinearImpl(4, 3);
        fill(layer, 1);
        layer.weight().mutable_grad().put(ones(4, 3).t());
        try (TorchClipper clipper = TorchClipper.builder().add(layer).units().build()) {
            String said = String.valueOf(
                    assertThrows(IllegalArgumentException.class, () -> clipper.clip(ClipRule.adaptive(LAMBDA)))
                            .getMessage());
            assertTrue(said.startsWith("weight has no units"), said);
        }
    }

    @Test
    void halfWeightsBesideFloatGradients() {
        LinearImpl layer = new LinearImpl(4, 3);
        fill(layer, 1);
        try (TorchClipper clipper = TorchClipper.builder().add(layer).units().build()) {
            clipper.clip(ClipRule.adaptive(LAMBDA));
            layer.to(ScalarType.BFloat16, false);
            layer.weight().mutable_grad().put(ones(3, 4).toType(ScalarType.BFloat16));
            layer.bias().mutable_grad().put(ones(3).toType(ScalarType.BFloat16));
            assertEquals(LAMBDA, clipper.clip(ClipRule.adaptive(LAMBDA)).rowCoefficient(0, 2), 1e-12);
        }
    }
}
