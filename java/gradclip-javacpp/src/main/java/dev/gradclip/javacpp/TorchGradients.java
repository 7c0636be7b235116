// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.javacpp;

import dev.gradclip.DType;
import java.util.List;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Finds the gradients of some parameters as they are at present.
 *
 * <p>A parameter keeps its gradient in one place for as long as it lives, whatever comes and goes there, so that place
 * is asked for once: {@code grad()} and {@code mutable_grad()} make a Java object each time (with all questions below
 * 590 and 570 ns a tensor against 420, for 1000 tensors in the caches).
 */
final class TorchGradients {
    /** In host memory. */
    static final int HOST = -1;

    /** A parameter without rows, which is not one of one row: a shard of one row is cut between rows. */
    static final int NO_ROWS = 0;

    private final List<String> names;
    private final Tensor[] parameters;
    private final Tensor[] slots;

    /** The type of each parameter, for a clipper to be built with. */
    final DType[] dtypes;

    final long[] lengths;

    /** The address of each gradient that has elements, else 0. */
    final long[] addresses;

    /** Units of each parameter, where they are bound, else {@link #NO_ROWS}. */
    final int[] rows;

    /** Type and address of each parameter's weights, where they are bound; 0 where its gradient is absent. */
    final DType[] weightTypes;

    final long[] weights;
    private final boolean units;

    /** True if weights are bound beside gradients: for units, and from the first step on. */
    boolean bindsWeights;

    /** {@link #HOST}, or the number of a CUDA device. */
    int place = HOST;

    /** True if there are others now than those the latest clipper was built with: a type, a length, the place. */
    boolean changed = true;

    /** What each parameter is of a tensor that ranks share. */
    final List<TorchShard> shards;

    TorchGradients(List<String> names, List<Tensor> parameters, List<TorchShard> shards, boolean units) {
        this.units = units;
        this.shards = List.copyOf(shards);
        bindsWeights = units;
        this.names = List.copyOf(names);
        this.parameters = parameters.toArray(new Tensor[0]);
        int n = this.parameters.length;
        slots = new Tensor[n];
        dtypes = new DType[n];
        lengths = new long[n];
        addresses = new long[n];
        rows = new int[n];
        weightTypes = new DType[n];
        weights = new long[n];
        for (int i = 0; i < n; i++) {
            Tensor parameter = this.parameters[i];
            slots[i] = parameter.mutable_grad();
            DType dtype = TorchTypes.of(parameter.scalar_type());
            dtypes[i] = dtype == null ? DType.FLOAT32 : dtype;
            lengths[i] = parameter.numel();
            weightTypes[i] = dtypes[i];
            rows[i] = units && parameter.dim() > 1 && lengths[i] > 0 ? Math.toIntExact(parameter.size(0)) : NO_ROWS;
        }
    }

    List<String> names() {
        return names;
    }

    /**
     * Asks for all of them anew.
     *
     * @throws IllegalArgumentException naming one that can't be clipped, or two that are in different places
     */
    void collect() {
        int first = -1;
        for (int i = 0; i < slots.length; i++) {
            Tensor gradient = slots[i];
            weights[i] = 0;
            if (!gradient.defined()) {
                addresses[i] = 0;
                continue;
            }
            int at = gradient.is_cpu() ? HOST : device(i);
            if (first < 0) {
                first = i;
                changed |= at != place;
                place = at;
            } else if (at != place) {
                throw Refusal.places(names.get(first), placeName(place), names.get(i), placeName(at));
            }
            boolean contiguous = isContiguous(i, gradient);
            // Asked only of what is not contiguous, as no sparse tensor is: a question costs some nanoseconds a tensor.
            if (!contiguous && gradient.is_sparse()) {
                addresses[i] = addressOfValues(i, gradient);
                continue;
            }
            addresses[i] = address(i, gradient, contiguous);
            if (bindsWeights) weights[i] = weights(i, contiguous);
        }
    }

    /** Whether a gradient is contiguous; refuses one in a sparse layout that has no answer, as CSR. */
    private boolean isContiguous(int i, Tensor gradient) {
        try {
            return gradient.is_contiguous();
        } catch (RuntimeException e) {
            throw refusal(i, e);
        }
    }

    /**
     * The address of a sparse gradient's values. Where an index occurs twice, the values are summands of an element and
     * not elements: the gradient is put in order first, in its place.
     */
    private long addressOfValues(int i, Tensor gradient) {
        if (bindsWeights) throw Refusal.sparseWeights(names.get(i), units);
        if (!gradient.is_coalesced()) {
            try (Tensor coalesced = gradient.coalesce()) {
                gradient.put(coalesced);
            }
        }
        // The handle is not needed: the gradient keeps the memory.
        try (Tensor values = gradient._values()) {
            return address(i, values, values.is_contiguous());
        }
    }

    /** Binds weights from the next collection on. */
    void bindWeights() {
        changed |= !bindsWeights;
        bindsWeights = true;
    }

    private long weights(int i, boolean gradientIsContiguous) {
        Tensor parameter = parameters[i];
        boolean contiguous = parameter.is_contiguous() && gradientIsContiguous;
        if (!contiguous && units) throw noUnits(i);
        if (!contiguous && !parameter.strides().equals(slots[i].strides())) {
            throw new IllegalArgumentException(
                    names.get(i) + " lies in memory in another order than its gradient, so the two"
                            + " can't be stepped through together; give both one memory format");
        }
        if (lengths[i] == 0) return 0;
        try {
            return data(weightTypes[i], parameter).address();
        } catch (RuntimeException e) {
            DType now = TorchTypes.of(parameter.scalar_type());
            if (now == null || now == weightTypes[i]) throw noUnits(i);
            weightTypes[i] = now;
            changed = true;
            return data(now, parameter).address();
        }
    }

    private IllegalArgumentException noUnits(int i) {
        return new IllegalArgumentException(
                names.get(i) + " has no units that lie one after the other: parameter and gradient must be"
                        + " contiguous and of a floating-point type (channels_last is not); leave units() out, or "
                        + "leave it out");
    }

    private long address(int i, Tensor gradient, boolean contiguous) {
        // What is contiguous is dense; a gradient in another order is asked.
        boolean dense = contiguous || gradient.is_non_overlapping_and_dense();
        if (!dense || gradient.is_neg()) throw refusal(i, null);
        long length = gradient.numel();
        if (length != lengths[i]) {
            lengths[i] = length;
            changed = true;
        }
        if (length == 0) return 0;
        try {
            return data(dtypes[i], gradient).address();
        } catch (RuntimeException e) {
            retype(i, gradient, e);
            return data(dtypes[i], gradient).address();
        }
    }

    /** Throws where the type is another: to ask for it costs 120 ns, for LibTorch's enum comes as a new object. */
    private static Pointer data(DType dtype, Tensor gradient) {
        return switch (dtype) {
            case FLOAT32 -> gradient.data_ptr_float();
            case FLOAT64 -> gradient.data_ptr_double();
            case FLOAT16, BFLOAT16 -> {
                if (gradient.scalar_type().value != TorchTypes.value(dtype))
                    throw new IllegalStateException("other type");
                yield gradient.data_ptr();
            }
        };
    }

    private void retype(int i, Tensor gradient, RuntimeException why) {
        DType now = TorchTypes.of(gradient.scalar_type());
        if (now == null || now == dtypes[i]) throw refusal(i, why);
        dtypes[i] = now;
        changed = true;
    }

    private int device(int i) {
        Tensor gradient = slots[i];
        if (!gradient.is_cuda()) throw refusal(i, null);
        try (Device device = gradient.device()) {
            return device.index();
        }
    }

    private static String placeName(int place) {
        return place == HOST ? "the CPU" : "CUDA device " + place;
    }

    private IllegalArgumentException refusal(int i, @Nullable RuntimeException cause) {
        return Refusal.of(names.get(i), slots[i], cause);
    }

    /** The parameters' handles; their gradients must not be asked for any more. */
    void close() {
        for (Tensor parameter : parameters) parameter.close();
    }
}
