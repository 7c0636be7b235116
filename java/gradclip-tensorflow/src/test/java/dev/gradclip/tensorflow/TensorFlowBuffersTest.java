// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.tensorflow;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.DType;
import dev.gradclip.GradientClipper;
import dev.gradclip.HostBuffer;
import org.junit.jupiter.api.Test;
import org.tensorflow.EagerSession;
import org.tensorflow.Operand;
import org.tensorflow.Tensor;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.ndarray.StdArrays;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TBfloat16;
import org.tensorflow.types.TFloat16;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TFloat64;
import org.tensorflow.types.TInt32;

/** Tensors of each type, and eager ones. */
class TensorFlowBuffersTest {
    private static void clip(Tensor tensor, double maxNorm) {
        try (GradientClipper clipper = GradientClipper.of(TensorFlowBuffers.wrap(tensor))) {
            clipper.clipByGlobalNorm(maxNorm);
        }
    }

    @Test
    void eachType() {
        try (TFloat32 f32 = TFloat32.vectorOf(3, 4);
                TFloat64 f64 = TFloat64.vectorOf(3, 4);
                TFloat16 f16 = TFloat16.vectorOf(3, 4);
                TBfloat16 bf16 = TBfloat16.vectorOf(3, 4)) {
            HostBuffer[] buffers = {
                TensorFlowBuffers.wrap(f32),
                TensorFlowBuffers.wrap(f64),
                TensorFlowBuffers.wrap(f16),
                TensorFlowBuffers.wrap(bf16)
            };
            DType[] types = {DType.FLOAT32, DType.FLOAT64, DType.FLOAT16, DType.BFLOAT16};
            for (int i = 0; i < 4; i++) assertEquals(types[i], buffers[i].dtype());
            try (GradientClipper clipper = GradientClipper.of(buffers)) {
                assertEquals(10, clipper.clipByGlobalNorm(5).globalNorm());
            }
            assertEquals(1.5f, f32.getFloat(0), 1e-6);
            assertEquals(2, f64.getDouble(1), 1e-6);
            assertEquals(1.5f, f16.getFloat(0));
            assertEquals(2, bf16.getFloat(1));
        }
    }

    @Test
    void otherTypesAreRefused() {
        try (TInt32 integers = TInt32.vectorOf(1, 2)) {
            String said =
                    String.valueOf(assertThrows(IllegalArgumentException.class, () -> TensorFlowBuffers.wrap(integers))
                            .getMessage());
            assertTrue(said.contains("elements of DT_INT32"), said);
        }
    }

    @Test
    void noElements() {
        try (TFloat32 none = TFloat32.tensorOf(Shape.of(0, 3))) {
            assertEquals(0, TensorFlowBuffers.wrap(none).length());
        }
    }

    @Test
    void anEagerResultIsClippedInPlaceAndLaterOperationsSeeIt() {
        try (EagerSession session = EagerSession.create()) {
            Ops tf = Ops.create(session);
            Operand<TFloat32> gradient =
                    tf.math.mul(tf.constant(StdArrays.ndCopyOf(new float[] {3, 4})), tf.constant(2f));
            clip(gradient.asTensor(), 5);
            TFloat32 doubled = tf.math.mul(gradient, tf.constant(2f)).asTensor();
            assertEquals(6, doubled.getFloat(0), 1e-5);
            assertEquals(8, doubled.getFloat(1), 1e-5);
        }
    }
}
