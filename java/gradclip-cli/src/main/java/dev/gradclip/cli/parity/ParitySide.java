// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.parity;

import dev.gradclip.Backend;
import dev.gradclip.ClipResult;
import dev.gradclip.DType;
import dev.gradclip.DeviceBuffer;
import dev.gradclip.GradientBuffer;
import dev.gradclip.GradientClipper;
import dev.gradclip.GradientClipperBuilder;
import dev.gradclip.HostBuffer;
import dev.gradclip.NonFiniteGradientException;
import dev.gradclip.cli.rules.ChosenRule;
import dev.gradclip.cli.shell.BackendOptions;
import dev.gradclip.measure.Half;
import java.lang.reflect.Array;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;

/**
 * A way to clip a case, to be compared with another.
 *
 * @param name as reports call it
 * @param clipper clips a case
 */
record ParitySide(String name, Function<ParityCase, Outcome> clipper) {
    /**
     * The gradients and figures that a clip leaves.
     *
     * @param gradients as {@link ParityCase.Tensor}s
     * @param norm of all, NaN where it threw
     * @param coefficient NaN where there is none
     * @param figures clipped, non-finite, elements changed; or whom the exception names
     */
    record Outcome(List<ParityCase.Tensor> gradients, double norm, double coefficient, String figures) {}

    /** Returns a backend of the library. */
    static ParitySide of(Backend backend) {
        return new ParitySide(BackendOptions.name(backend), one -> clip(backend, one));
    }

    Outcome clip(ParityCase one) {
        return clipper.apply(one);
    }

    private static Outcome clip(Backend backend, ParityCase one) {
        List<DeviceBuffer> copies = new ArrayList<>();
        List<ParityCase.Tensor> gradients = one.gradients();
        List<ParityCase.Tensor> weights = one.weights();
        List<GradientBuffer> bound = new ArrayList<>();
        GradientClipperBuilder builder = GradientClipper.builder().backend(backend);
        boolean needsParameters = ChosenRule.needsParameters(one.rule());
        try {
            for (int i = 0; i < gradients.size(); i++) {
                ParityCase.Tensor gradient = gradients.get(i);
                bound.add(buffer(gradient, backend, copies));
                builder.add(gradient.name(), bound.get(i));
                if (ChosenRule.goesByRows(one.rule()) || needsParameters) {
                    // Every other tensor is a matrix whose columns are the units.
                    int units = gradient.rows();
                    if (i % 2 == 0) builder.rows(units);
                    else builder.units(1, bound.get(i).length() / units, units);
                }
                if (needsParameters) builder.weights(buffer(weights.get(i), backend, copies));
            }
            try (GradientClipper clipper = builder.build()) {
                return clipped(clipper, one, gradients, bound);
            }
        } finally {
            copies.forEach(DeviceBuffer::close);
        }
    }

    private static Outcome clipped(
            GradientClipper clipper, ParityCase one, List<ParityCase.Tensor> gradients, List<GradientBuffer> bound) {
        double norm = Double.NaN;
        double coefficient = Double.NaN;
        String figures;
        try {
            ClipResult result = clipper.clip(one.rule());
            norm = result.globalNorm();
            coefficient = result.coefficient();
            figures = "clipped " + result.clipped() + ", non-finite " + result.nonFinite() + ", changed "
                    + result.elementsChanged();
        } catch (NonFiniteGradientException e) {
            figures = "refused: " + e.getMessage();
        }
        for (int i = 0; i < bound.size(); i++) {
            if (bound.get(i) instanceof DeviceBuffer device && device.length() > 0)
                device.copyTo(host(gradients.get(i)));
        }
        return new Outcome(gradients, norm, coefficient, figures);
    }

    private static GradientBuffer buffer(ParityCase.Tensor tensor, Backend backend, List<DeviceBuffer> copies) {
        HostBuffer host = host(tensor);
        if (backend != Backend.CUDA) return host;
        DeviceBuffer copy = DeviceBuffer.allocate(tensor.dtype(), host.length());
        copies.add(copy);
        if (host.length() > 0) copy.copyFrom(host);
        return copy;
    }

    private static HostBuffer host(ParityCase.Tensor tensor) {
        Object elements = tensor.elements();
        if (elements instanceof double[] doubles) return HostBuffer.wrap(doubles);
        if (elements instanceof float[] floats) return HostBuffer.wrap(floats);
        return HostBuffer.wrap((short[]) elements, tensor.dtype());
    }

    /** An element's bits. */
    static long bits(ParityCase.Tensor tensor, int i) {
        if (tensor.dtype() == DType.FLOAT64) return Double.doubleToRawLongBits(((double[]) tensor.elements())[i]);
        if (tensor.dtype() == DType.FLOAT32)
            return Float.floatToRawIntBits(((float[]) tensor.elements())[i]) & 0xffffffffL;
        return ((short[]) tensor.elements())[i] & 0xffffL;
    }

    /** An element's value, exactly. */
    static double value(ParityCase.Tensor tensor, int i) {
        return switch (tensor.dtype()) {
            case FLOAT64 -> ((double[]) tensor.elements())[i];
            case FLOAT32 -> ((float[]) tensor.elements())[i];
            case FLOAT16 -> Half.float16(((short[]) tensor.elements())[i]);
            case BFLOAT16 -> Half.bfloat16(((short[]) tensor.elements())[i]);
        };
    }

    static int length(ParityCase.Tensor tensor) {
        return Array.getLength(tensor.elements());
    }
}
