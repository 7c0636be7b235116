// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A decision is a clip's result without the clip. */
class DecideTest {
    private static HostBuffer[] some(double odd) {
        double[] values = Values.normal(7, 5000, 1);
        values[321] = odd;
        return new HostBuffer[] {
            Values.buffer(DType.FLOAT32, 3, 4), Values.buffer(DType.BFLOAT16, values), Values.buffer(DType.FLOAT64)
        };
    }

    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#all")
    void saysWhatAClipSaysAndTouchesNothing(TestBackend backend) {
        for (NormType type : NormContractTest.TYPES) {
            for (NonFinitePolicy policy : new NonFinitePolicy[] {NonFinitePolicy.PROPAGATE, NonFinitePolicy.SKIP}) {
                for (double odd : new double[] {1, Double.NaN, Double.POSITIVE_INFINITY}) {
                    for (double max : new double[] {0, 2, 1e9, Double.POSITIVE_INFINITY}) {
                        NormRule rule =
                                ClipRule.globalNorm(max).withNormType(type).withNonFinitePolicy(policy);
                        HostBuffer[] decided = some(odd);
                        HostBuffer[] clipped = some(odd);
                        try (GradientClipper decides = backend.clipper(decided);
                                GradientClipper clips = backend.clipper(clipped)) {
                            ClipResult got = decides.decide(rule);
                            ClipResult want = clips.clip(rule);
                            assertEquals(want.toString(), got.toString(), rule::toString);
                            assertEquals(want.tensorNorm(1), got.tensorNorm(1));
                            assertEquals(want.tensorCoefficient(1), got.tensorCoefficient(1));
                        }
                        HostBuffer[] before = some(odd);
                        for (int i = 0; i < before.length; i++) {
                            assertArrayEquals(Values.bits(before[i]), Values.bits(decided[i]), rule::toString);
                        }
                    }
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#all")
    void errorsAreThrownAndZeroIsRefused(TestBackend backend) {
        try (GradientClipper clipper = backend.clipper(some(Double.NaN))) {
            NormRule rule = ClipRule.globalNorm(1);
            assertThrows(
                    NonFiniteGradientException.class,
                    () -> clipper.decide(rule.withNonFinitePolicy(NonFinitePolicy.ERROR)));
            IllegalArgumentException e = assertThrows(
                    IllegalArgumentException.class,
                    () -> clipper.decide(rule.withNonFinitePolicy(NonFinitePolicy.ZERO)));
            assertTrue(String.valueOf(e.getMessage()).contains("ZERO"), e::getMessage);
            assertThrows(
                    IllegalArgumentException.class,
                    () -> clipper.decideAsync(rule.withNonFinitePolicy(NonFinitePolicy.ZERO), CudaStream.DEFAULT));
        }
    }

    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#all")
    void anAsyncDecisionIsTheSame(TestBackend backend) {
        try (GradientClipper clipper = backend.clipper(some(1))) {
            ClipResult want = clipper.decide(ClipRule.globalNorm(2));
            ClipResult got = clipper.decideAsync(ClipRule.globalNorm(2), CudaStream.DEFAULT);
            assertEquals(want.globalNorm(), got.globalNorm());
            assertEquals(want.coefficient(), got.coefficient());
            assertEquals(want.clippedNorm(), got.clippedNorm());
            assertTrue(got.clipped());
            assertFalse(clipper.decide(ClipRule.globalNorm(1e9)).clipped());
        }
    }

    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#onHost")
    void readOnlyMemoryWillDo(TestBackend backend) {
        FloatBuffer readOnly = ByteBuffer.allocateDirect(8)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putFloat(3)
                .putFloat(4)
                .flip()
                .asReadOnlyBuffer()
                .order(ByteOrder.LITTLE_ENDIAN)
                .asFloatBuffer();
        try (GradientClipper clipper =
                backend.builder().add(HostBuffer.wrap(readOnly)).build()) {
            assertEquals(
                    0.5, clipper.decide(ClipRule.globalNorm(2.5).withEpsilon(0)).coefficient());
        }
    }

    /** The coefficient that an optimizer's kernel multiplies by is in device memory. */
    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("dev.gradclip.TestBackend#onDevices")
    void theCoefficientIsOnTheDevice(TestBackend backend) {
        try (GradientClipper clipper = backend.clipper(some(1))) {
            double[] found = new double[1];
            DeviceBuffer coefficient = DeviceBuffer.wrap(clipper.coefficientAddress(), 1, DType.FLOAT64, clipper);
            ClipResult result = clipper.decideAsync(ClipRule.globalNorm(2), CudaStream.DEFAULT);
            coefficient.copyTo(found);
            assertEquals(result.coefficient(), found[0]);
            assertTrue(found[0] < 1);
        }
    }
}
