// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.javacpp;

import static org.bytedeco.pytorch.global.torch.clip_grad_norm_;
import static org.bytedeco.pytorch.global.torch.clip_grad_value_;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.Backend;
import dev.gradclip.ClipResult;
import dev.gradclip.ClipRule;
import dev.gradclip.NonFiniteGradientException;
import dev.gradclip.NonFinitePolicy;
import dev.gradclip.NormRule;
import dev.gradclip.NormType;
import java.util.Arrays;
import java.util.function.DoubleUnaryOperator;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * {@code clip_grad_norm_} and {@code clip_grad_value_} themselves, on PyTorch's own cases: every p, and what is not
 * finite.
 */
@ExtendWith(Torch.class)
class LibTorchRulesTest {
    private static final double[] POWERS = {0.5, 1, 1.5, 2, 4, Double.POSITIVE_INFINITY};

    /** LibTorch's norm of 110 floats is within a few 2^-24 of it; powers add the rounding of pow. */
    private static final double FLOAT = 1e-6;

    /** The relative error of doubles: 110 additions and two powers. */
    private static final double DOUBLE = 1e-13;

    private static Stream<Backend> backends() {
        return Stream.of(Backend.JAVA, Backend.NATIVE).filter(Backend::isAvailable);
    }

    private static NormType type(double p) {
        return Double.isInfinite(p) ? NormType.INF : NormType.p(p);
    }

    /** Two parameters with 100 and 10 gradients. */
    private static TensorVector parameters(ScalarType dtype, DoubleUnaryOperator gradient) {
        TensorVector parameters = Torch.vector(Torch.parameter(10, 10), Torch.parameter(10));
        int at = 0;
        for (int i = 0; i < 2; i++) {
            Tensor parameter = parameters.get(i).detach().toType(dtype).requires_grad_(true);
            double[] values = new double[(int) parameter.numel()];
            for (int k = 0; k < values.length; k++) values[k] = gradient.applyAsDouble(at++);
            Tensor made = Tensor.create(values).toType(dtype).reshape(parameter.sizes());
            parameter.mutable_grad().put(made);
            parameters.put(i, parameter);
        }
        return parameters;
    }

    private static double[] gradients(TensorVector parameters) {
        double[] both = Arrays.copyOf(Torch.values(parameters.get(0).grad()), 110);
        System.arraycopy(Torch.values(parameters.get(1).grad()), 0, both, 100, 10);
        return both;
    }

    private static TorchClipper clipper(TensorVector parameters, Backend backend) {
        return TorchClipper.builder()
                .add("a", parameters.get(0))
                .add("b", parameters.get(1))
                .backend(backend)
                .build();
    }

    private static void assertClose(double[] expected, double[] found, double tolerance, String what) {
        for (int i = 0; i < expected.length; i++) {
            double allowed = Double.isFinite(expected[i]) ? tolerance * Math.abs(expected[i]) : 0;
            assertEquals(expected[i], found[i], allowed, what);
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void everyPowerOfPytorchsOwnCase(Backend backend) {
        DoubleUnaryOperator large = i -> i < 100 ? i + 1 : 0.001;
        DoubleUnaryOperator small = i -> i < 100 ? (i + 1) / 1e5 : 1 / 500.0;
        for (ScalarType dtype : new ScalarType[] {ScalarType.Float, ScalarType.Double}) {
            double tolerance = dtype == ScalarType.Float ? FLOAT : DOUBLE;
            for (double p : POWERS) {
                for (DoubleUnaryOperator gradient : new DoubleUnaryOperator[] {large, small}) {
                    for (double max : new double[] {2, 0, 1e-3}) {
                        TensorVector theirs = parameters(dtype, gradient);
                        TensorVector ours = parameters(dtype, gradient);
                        double norm = clip_grad_norm_(theirs, max, p, false);
                        try (TorchClipper clipper = clipper(ours, backend)) {
                            ClipResult result =
                                    clipper.clip(ClipRule.globalNorm(max).withNormType(type(p)));
                            assertEquals(norm, result.globalNorm(), tolerance * norm, "p " + p);
                        }
                        assertClose(gradients(theirs), gradients(ours), tolerance, "p " + p + " max " + max);
                    }
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void clampsToTheBit(Backend backend) {
        DoubleUnaryOperator gradient = i -> i == 7 ? Double.NaN : i == 8 ? Double.NEGATIVE_INFINITY : i - 50;
        for (ScalarType dtype : new ScalarType[] {ScalarType.Float, ScalarType.Double}) {
            for (double limit : new double[] {2.5, 0, 1e9}) {
                TensorVector theirs = parameters(dtype, gradient);
                TensorVector ours = parameters(dtype, gradient);
                clip_grad_value_(theirs, limit);
                try (TorchClipper clipper = clipper(ours, backend)) {
                    clipper.clipByValue(limit);
                }
                assertClose(gradients(theirs), gradients(ours), 0, "limit " + limit);
                assertArrayEquals(gradients(theirs), gradients(ours));
            }
        }
    }

    /** One or all of the elements; what PyTorch's norm overflows on is clipped here. */
    @ParameterizedTest
    @MethodSource("backends")
    void theNonFiniteMatrix(Backend backend) {
        double inf = Double.POSITIVE_INFINITY;
        int overflows = 0;
        for (double odd : new double[] {inf, -inf, Double.NaN, 2e22, -2e22, 2e200, -2e200}) {
            for (double p : POWERS) {
                for (boolean all : new boolean[] {true, false}) {
                    DoubleUnaryOperator gradient = i -> all || i == 109 ? odd : 1;
                    TensorVector theirs = parameters(ScalarType.Double, gradient);
                    TensorVector ours = parameters(ScalarType.Double, gradient);
                    double norm = clip_grad_norm_(theirs, 1, p, false);
                    NormRule rule = ClipRule.globalNorm(1).withNormType(type(p));
                    String what = odd + " by p " + p;
                    try (TorchClipper clipper = clipper(ours, backend)) {
                        ClipResult result = clipper.clip(rule);
                        assertEquals(!Double.isFinite(odd), result.nonFinite(), what);
                        if (Double.isFinite(odd) && !Double.isFinite(norm)) {
                            overflows++;
                            assertEquals(0, Math.abs(gradients(theirs)[109]), what);
                            assertEquals(1, clipper.globalNorm(type(p)), 1e-6, what);
                            continue;
                        }
                        assertClose(new double[] {norm}, new double[] {result.globalNorm()}, DOUBLE, what);
                    }
                    assertClose(gradients(theirs), gradients(ours), DOUBLE, what);
                    assertErrors(backend, gradient, p, !Double.isFinite(odd));
                }
            }
        }
        assertTrue(overflows > 0, "2e200 to the power 2 or 4 is no double");
    }

    /** {@code error_if_nonfinite} and the policy ERROR leave everything as it was. */
    private static void assertErrors(Backend backend, DoubleUnaryOperator gradient, double p, boolean refused) {
        TensorVector theirs = parameters(ScalarType.Double, gradient);
        TensorVector ours = parameters(ScalarType.Double, gradient);
        double[] before = gradients(ours);
        ClipRule rule = ClipRule.globalNorm(1).withNormType(type(p)).withNonFinitePolicy(NonFinitePolicy.ERROR);
        try (TorchClipper clipper = clipper(ours, backend)) {
            if (!refused) {
                clip_grad_norm_(theirs, 1, p, true);
                assertTrue(clipper.clip(rule).clipped());
                return;
            }
            assertThrows(RuntimeException.class, () -> clip_grad_norm_(theirs, 1, p, true));
            assertThrows(NonFiniteGradientException.class, () -> clipper.clip(rule));
        }
        assertArrayEquals(before, gradients(theirs));
        assertArrayEquals(before, gradients(ours));
    }
}
