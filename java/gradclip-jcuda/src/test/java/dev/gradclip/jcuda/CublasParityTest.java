// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.jcuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.gradclip.Backend;
import dev.gradclip.DType;
import dev.gradclip.DeviceBuffer;
import dev.gradclip.GradientClipper;
import dev.gradclip.NormType;
import java.util.Random;
import jcuda.Pointer;
import jcuda.jcublas.JCublas2;
import jcuda.jcublas.cublasHandle;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Norms and scaling beside cuBLAS on the same memory of a real device. */
class CublasParityTest {
    private static final double FLOAT_ERROR = 1e-5;
    private static final double DOUBLE_ERROR = 1e-12;

    private final cublasHandle handle = new cublasHandle();
    private boolean created;

    @BeforeEach
    void cublas() {
        assumeTrue(Backend.CUDA.isAvailable() && !Backend.CUDA.reason().contains("emulated"), "needs a real device");
        JCublas2.setExceptionsEnabled(true);
        JCublas2.cublasCreate(handle);
        created = true;
    }

    @AfterEach
    void destroy() {
        if (created) JCublas2.cublasDestroy(handle);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 13, 2047, 2048, 2049, 1 << 20, 10_000_001})
    void floats(int length) {
        float[] values = new float[length];
        Random random = new Random(length);
        for (int i = 0; i < length; i++) values[i] = (float) random.nextGaussian();
        try (DeviceBuffer ours = DeviceBuffer.allocate(DType.FLOAT32, length);
                DeviceBuffer theirs = DeviceBuffer.allocate(DType.FLOAT32, length);
                GradientClipper clipper = GradientClipper.of(ours)) {
            ours.copyFrom(values);
            theirs.copyFrom(values);
            Pointer x = JCudaBuffers.pointer(theirs);
            float[] found = {0};
            int[] index = {0};
            JCublas2.cublasSnrm2(handle, length, x, 1, Pointer.to(found));
            close(found[0], clipper.globalNorm(NormType.L2), FLOAT_ERROR);
            JCublas2.cublasSasum(handle, length, x, 1, Pointer.to(found));
            close(found[0], clipper.globalNorm(NormType.L1), FLOAT_ERROR);
            JCublas2.cublasIsamax(handle, length, x, 1, Pointer.to(index));
            assertEquals(Math.abs(values[index[0] - 1]), clipper.globalNorm(NormType.INF));

            double coefficient =
                    clipper.clipByGlobalNorm(clipper.globalNorm() / 3).coefficient();
            JCublas2.cublasSscal(handle, length, Pointer.to(new float[] {(float) coefficient}), x, 1);
            float[] a = new float[length];
            float[] b = new float[length];
            ours.copyTo(a);
            theirs.copyTo(b);
            assertArrayEquals(b, a);
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 13, 1023, 1024, 1025, 1 << 20, 10_000_001})
    void doubles(int length) {
        double[] values = new Random(length).doubles(length, -1, 1).toArray();
        try (DeviceBuffer ours = DeviceBuffer.allocate(DType.FLOAT64, length);
                DeviceBuffer theirs = DeviceBuffer.allocate(DType.FLOAT64, length);
                GradientClipper clipper = GradientClipper.of(ours)) {
            ours.copyFrom(values);
            theirs.copyFrom(values);
            Pointer x = JCudaBuffers.pointer(theirs);
            double[] found = {0};
            int[] index = {0};
            JCublas2.cublasDnrm2(handle, length, x, 1, Pointer.to(found));
            close(found[0], clipper.globalNorm(NormType.L2), DOUBLE_ERROR);
            JCublas2.cublasDasum(handle, length, x, 1, Pointer.to(found));
            close(found[0], clipper.globalNorm(NormType.L1), DOUBLE_ERROR);
            JCublas2.cublasIdamax(handle, length, x, 1, Pointer.to(index));
            assertEquals(Math.abs(values[index[0] - 1]), clipper.globalNorm(NormType.INF));

            double coefficient =
                    clipper.clipByGlobalNorm(clipper.globalNorm() / 3).coefficient();
            JCublas2.cublasDscal(handle, length, Pointer.to(new double[] {coefficient}), x, 1);
            double[] a = new double[length];
            double[] b = new double[length];
            ours.copyTo(a);
            theirs.copyTo(b);
            assertArrayEquals(b, a);
        }
    }

    private static void close(double expected, double found, double relative) {
        assertTrue(
                Math.abs(found - expected) <= relative * Math.abs(expected),
                () -> "cuBLAS says " + expected + ", gradclip " + found);
    }
}
