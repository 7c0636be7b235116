// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.tensorflow;

import dev.gradclip.DType;
import dev.gradclip.HostBuffer;
import dev.gradclip.javacpp.JavacppBuffers;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.jspecify.annotations.Nullable;
import org.tensorflow.RawTensor;
import org.tensorflow.Tensor;
import org.tensorflow.ndarray.buffer.DataStorageVisitor;
import org.tensorflow.proto.DataType;

/**
 * A TensorFlow tensor's own memory as a buffer; no copy. Of an eager session's {@code operand.asTensor()} too, which
 * later operations on that operand read. What a session fetched may share its memory with a constant or a variable of
 * the graph: {@link TensorFlowClipper} sees to that.
 *
 * <pre>{@code
 * try (TFloat32 gradient = TFloat32.tensorOf(Shape.of(1024));
 *         GradientClipper clipper = GradientClipper.of(TensorFlowBuffers.wrap(gradient))) {
 *     clipper.clipByGlobalNorm(1.0);
 * }
 * }</pre>
 */
public final class TensorFlowBuffers {
    private TensorFlowBuffers() {}

    /**
     * The elements of a tensor, which stays reachable through the buffer and must not be closed before the clip.
     *
     * @throws IllegalArgumentException if they are not DT_DOUBLE, DT_FLOAT, DT_HALF or DT_BFLOAT16
     */
    public static HostBuffer wrap(Tensor tensor) {
        return wrap("the tensor", tensor);
    }

    static HostBuffer wrap(String name, Tensor tensor) {
        RawTensor raw = tensor.asRawTensor();
        DType dtype = type(raw.dataType());
        if (dtype == null) {
            throw new IllegalArgumentException(name + " has elements of " + raw.dataType()
                    + "; clipped are DT_DOUBLE, DT_FLOAT, DT_HALF and DT_BFLOAT16");
        }
        if (raw.numBytes() == 0) return HostBuffer.allocate(dtype, 0);
        return raw.data().accept(new View(name, dtype, tensor));
    }

    private static @Nullable DType type(DataType type) {
        return switch (type) {
            case DT_DOUBLE -> DType.FLOAT64;
            case DT_FLOAT -> DType.FLOAT32;
            case DT_HALF -> DType.FLOAT16;
            case DT_BFLOAT16 -> DType.BFLOAT16;
            default -> null;
        };
    }

    private record View(String name, DType dtype, Tensor owner) implements DataStorageVisitor<HostBuffer> {
        @Override
        public HostBuffer visit(long address, long length, long scale) {
            return JavacppBuffers.wrap(address, length * scale, dtype, owner);
        }

        @Override
        public HostBuffer visit(ByteBuffer buffer) {
            return HostBuffer.wrap(buffer.duplicate().order(ByteOrder.LITTLE_ENDIAN), dtype, owner);
        }

        @Override
        public HostBuffer fallback() {
            throw new IllegalArgumentException(name + " is in memory that TensorFlow does not show");
        }
    }
}
