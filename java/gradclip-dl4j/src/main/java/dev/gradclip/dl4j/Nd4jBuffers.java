// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.dl4j;

import dev.gradclip.DType;
import dev.gradclip.HostBuffer;
import dev.gradclip.javacpp.JavacppBuffers;
import java.util.Arrays;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.api.ops.executioner.OpExecutioner.ExecutionerType;
import org.nd4j.linalg.factory.Nd4j;

/**
 * An ND4J array's own memory as a buffer; no copy. A view is taken where it lies, in any order of its dimensions.
 *
 * <pre>{@code
 * try (GradientClipper clipper = GradientClipper.of(Nd4jBuffers.wrap(gradient))) {
 *     clipper.clipByGlobalNorm(1.0);
 * }
 * }</pre>
 */
public final class Nd4jBuffers {
    private Nd4jBuffers() {}

    /**
     * The elements of an array, which stays reachable through the buffer: DOUBLE, FLOAT, HALF or BFLOAT16, on ND4J's
     * CPU backend.
     *
     * @throws IllegalArgumentException if it has another type, is closed, or is a view with gaps or repeated elements
     */
    public static HostBuffer wrap(INDArray array) {
        return wrap("the array", array);
    }

    static HostBuffer wrap(String name, INDArray array) {
        if (array.wasClosed()) throw new IllegalArgumentException(name + " is closed");
        DType dtype = type(array.dataType());
        if (dtype == null) {
            throw new IllegalArgumentException(
                    name + " has elements of " + array.dataType() + "; clipped are DOUBLE, FLOAT, HALF and BFLOAT16");
        }
        if (Nd4j.getExecutioner().type() == ExecutionerType.CUDA) {
            throw new IllegalArgumentException(
                    name + " is on ND4J's GPU backend; clipped are arrays of the CPU backend: put nd4j-native on the "
                            + "class path");
        }
        if (array.isEmpty()) return HostBuffer.allocate(dtype, 0);
        if (!dense(array.shape(), array.stride())) {
            throw new IllegalArgumentException(
                    name + " is a view with gaps or repeated elements (shape " + Arrays.toString(array.shape())
                            + ", strides " + Arrays.toString(array.stride())
                            + "); clip the array that it is a view of, or a dup() of it and assign that back");
        }
        long address = array.data().addressPointer().address();
        return JavacppBuffers.wrap(address, array.length() * dtype.bytes(), dtype, array);
    }

    private static @Nullable DType type(DataType type) {
        return switch (type) {
            case DOUBLE -> DType.FLOAT64;
            case FLOAT -> DType.FLOAT32;
            case HALF -> DType.FLOAT16;
            case BFLOAT16 -> DType.BFLOAT16;
            default -> null;
        };
    }

    /** Returns true if the elements are a range of memory, each once, in whatever order. */
    private static boolean dense(long[] shape, long[] strides) {
        int[] order = IntStream.range(0, shape.length)
                .filter(i -> shape[i] > 1)
                .boxed()
                .sorted((a, b) -> Long.compare(strides[a], strides[b]))
                .mapToInt(i -> i)
                .toArray();
        long next = 1;
        for (int i : order) {
            if (strides[i] != next) return false;
            next *= shape[i];
        }
        return true;
    }
}
