// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.djl;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Parameter;
import ai.djl.pytorch.engine.PtNDArray;
import ai.djl.pytorch.jni.JniUtils;
import ai.djl.util.Pair;
import ai.djl.util.PairList;
import dev.gradclip.DType;
import dev.gradclip.DeviceBuffer;
import dev.gradclip.GradientBuffer;
import dev.gradclip.HostBuffer;
import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.function.IntFunction;
import org.jspecify.annotations.Nullable;

/** Finds the gradients of some parameters as they are at present. */
final class DjlGradients {
    private static final String GRADIENT = "the gradient of ";
    private static final String WEIGHTS = "the parameter ";

    private final List<String> names = new ArrayList<>();
    private final List<Parameter> parameters = new ArrayList<>();

    DjlGradients(PairList<String, Parameter> list) {
        Set<Parameter> taken = Collections.newSetFromMap(new IdentityHashMap<>());
        for (Pair<String, Parameter> pair : list) {
            // A parameter that two blocks share is listed twice, and has one gradient.
            if (!taken.add(pair.getValue())) continue;
            names.add(pair.getKey());
            parameters.add(pair.getValue());
        }
    }

    List<String> names() {
        return names;
    }

    /**
     * The gradients' own memory, null where there is none; good until {@code handles} is closed, which every handle is
     * attached to.
     *
     * @throws IllegalArgumentException naming one that can't be clipped where it is
     */
    List<@Nullable GradientBuffer> collect(NDManager handles) {
        return collect(handles, GRADIENT, this::gradient);
    }

    /**
     * The parameters' own memory, in the same way.
     *
     * @throws IllegalArgumentException naming one that can't be updated where it is
     */
    List<GradientBuffer> collectWeights(NDManager handles) {
        List<GradientBuffer> weights = new ArrayList<>(parameters.size());
        for (GradientBuffer each : collect(handles, WEIGHTS, this::weights)) weights.add(Objects.requireNonNull(each));
        return weights;
    }

    /** The units of each parameter: its leading dimension where it has two or more, else 0. */
    int[] units() {
        int[] units = new int[parameters.size()];
        for (int i = 0; i < units.length; i++) {
            Shape shape = array(i).getShape();
            boolean has = shape.dimension() > 1 && shape.size() > 0;
            units[i] = has ? Math.toIntExact(shape.get(0)) : 0;
        }
        return units;
    }

    private List<@Nullable GradientBuffer> collect(
            NDManager handles, String what, IntFunction<@Nullable PtNDArray> arrays) {
        List<@Nullable GradientBuffer> buffers = new ArrayList<>(parameters.size());
        int expected = handles.getManagedArrays().size();
        for (int i = 0; i < parameters.size(); i++) {
            PtNDArray array = arrays.apply(i);
            if (array == null) {
                buffers.add(null);
                continue;
            }
            array.attach(handles);
            buffers.add(wrap(what + names.get(i), array));
            expected++;
        }
        // The engine answers with a copy where a tensor has other strides, and says so nowhere else.
        if (handles.getManagedArrays().size() != expected) throw copied(handles, what, arrays);
        return buffers;
    }

    private @Nullable PtNDArray gradient(int i) {
        if (!parameters.get(i).requiresGradient()) return null;
        PtNDArray ours = array(i);
        // getGradient() would make zeros where there is none.
        return ours.hasGradient() ? JniUtils.getGradient(ours) : null;
    }

    /** Another handle of the same memory, which is not part of what the engine differentiates. */
    private PtNDArray weights(int i) {
        return (PtNDArray) array(i).stopGradient();
    }

    private PtNDArray array(int i) {
        Parameter parameter = parameters.get(i);
        if (!parameter.isInitialized()) {
            throw new IllegalStateException(
                    names.get(i) + " is not initialized; clip after Trainer.initialize(shape) and a backward pass");
        }
        NDArray array = parameter.getArray();
        if (!(array instanceof PtNDArray ours)) {
            throw new IllegalArgumentException(names.get(i) + " is of the engine "
                    + array.getManager().getEngine().getEngineName() + "; clipped are gradients of PyTorch");
        }
        return ours;
    }

    private static GradientBuffer wrap(String name, PtNDArray gradient) {
        if (gradient.isSparse()) {
            throw refusal(name, "is sparse; build the embedding without a sparse format");
        }
        DType dtype = type(gradient.getDataType());
        if (dtype == null) {
            throw refusal(
                    name,
                    "has elements of " + gradient.getDataType()
                            + "; clipped are FLOAT64, FLOAT32, FLOAT16 and BFLOAT16");
        }
        long length = gradient.size();
        if (gradient.getDevice().isGpu()) return onDevice(name, gradient, dtype, length);
        if (length == 0) return HostBuffer.allocate(dtype, 0);
        if (length > Integer.MAX_VALUE / dtype.bytes()) {
            throw refusal(
                    name,
                    "has " + length + " elements of " + dtype + ", but DJL shows 2 GiB of a tensor at most; split "
                            + "the parameter");
        }
        return HostBuffer.wrap(gradient.toByteBuffer(true), dtype, gradient);
    }

    /** DJL has no view of memory there, so LibTorch itself is asked; it makes no copy. */
    private static DeviceBuffer onDevice(String name, PtNDArray gradient, DType dtype, long length) {
        requireContiguous(name, gradient);
        return DeviceBuffer.wrap(length == 0 ? 0 : TorchAbi.address(gradient), length, dtype, gradient);
    }

    static void requireContiguous(String name, PtNDArray gradient) {
        if (!TorchAbi.isContiguous(gradient)) {
            throw refusal(
                    name, "is not contiguous; give the parameter an array that is not a transposed or sliced view");
        }
    }

    private static @Nullable DType type(DataType type) {
        return switch (type) {
            case FLOAT64 -> DType.FLOAT64;
            case FLOAT32 -> DType.FLOAT32;
            case FLOAT16 -> DType.FLOAT16;
            case BFLOAT16 -> DType.BFLOAT16;
            default -> null;
        };
    }

    /** Asks one by one whose it is that came as a copy. */
    private IllegalArgumentException copied(NDManager handles, String what, IntFunction<@Nullable PtNDArray> arrays) {
        for (int i = 0; i < parameters.size(); i++) {
            try (NDManager one = handles.newSubManager()) {
                PtNDArray array = arrays.apply(i);
                if (array == null) continue;
                array.attach(one);
                wrap(what + names.get(i), array);
                if (one.getManagedArrays().size() > 1) {
                    return refusal(
                            what + names.get(i),
                            "is not contiguous, so DJL shows a copy of it; give the parameter an array that is not a "
                                    + "transposed or sliced view");
                }
            }
        }
        return new IllegalArgumentException("an array came as a copy, which can't be clipped in place");
    }

    private static IllegalArgumentException refusal(String name, String why) {
        return new IllegalArgumentException(name + " " + why);
    }
}
