// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.javacpp;

import java.util.Arrays;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

/** Why a gradient can't be clipped where it is, and what to do. */
final class Refusal {
    private Refusal() {}

    /** The refusal of a gradient that is not plain memory of a type that is clipped. */
    static IllegalArgumentException of(String name, Tensor gradient, @Nullable RuntimeException cause) {
        return new IllegalArgumentException("the gradient of " + name + " " + reason(gradient, cause), cause);
    }

    private static String reason(Tensor gradient, @Nullable RuntimeException cause) {
        if (gradient.is_sparse_csr()) {
            return "is sparse in CSR layout, and only COO is clipped; build the module with sparse=false, or leave this parameter out of the clipper";
        }
        if (!gradient.is_cpu() && !gradient.is_cuda()) {
            return "is on " + gradient.device().str().getString() + "; clipped are those on the CPU or on CUDA";
        }
        if (gradient.is_quantized()) return "is quantised; clip the gradient of the float parameter behind it";
        if (gradient.is_complex()) return "is complex; make a parameter of view_as_real of it instead";
        if (TorchTypes.of(gradient.scalar_type()) == null) {
            return "has elements of " + gradient.scalar_type().intern()
                    + "; clipped are Double, Float, Half and BFloat16";
        }
        if (gradient.has_storage() && !gradient.is_non_overlapping_and_dense()) {
            return "is a view with gaps or repeated elements (sizes "
                    + Arrays.toString(gradient.sizes().vec().get())
                    + ", strides " + Arrays.toString(gradient.strides().vec().get())
                    + "); call mutable_grad().put(grad().contiguous()) on the parameter";
        }
        if (gradient.is_neg()) {
            return "is negated lazily; call mutable_grad().put(grad().resolve_neg()) on the parameter";
        }
        return "has no memory that can be reached" + (cause == null ? "" : ": " + firstLine(cause));
    }

    /** The refusal of a sparse gradient where weights are bound beside it: by units, or for a step. */
    static IllegalArgumentException sparseWeights(String name, boolean units) {
        String why = units
                ? "has values for some of the rows that units() binds; leave units() out"
                : "has no values for most of the weights and their state, which a step updates all; clip it, and update "
                        + "by the optimizer";
        return new IllegalArgumentException(
                "the gradient of " + name + " is sparse and " + why + ", or build the module with sparse=false");
    }

    /** The refusal of gradients in two places. */
    static IllegalArgumentException places(String a, String onA, String b, String onB) {
        return new IllegalArgumentException("the gradient of " + a + " is on " + onA + ", but that of " + b + " is on "
                + onB + "; each device needs a clipper of its own, over the parameters that are there");
    }

    private static String firstLine(RuntimeException e) {
        String message = String.valueOf(e.getMessage());
        int end = message.indexOf('\n');
        return end < 0 ? message : message.substring(0, end);
    }
}
