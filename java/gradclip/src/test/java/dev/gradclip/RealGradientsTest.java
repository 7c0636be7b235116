// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Gradients of real backward passes: norms against float64, every element written, and PyTorch's results. */
class RealGradientsTest {
    private static final List<String> FILES =
            List.of("rnn-calm", "rnn-exploding", "rnn-overflow", "gpt-f32", "gpt-f64", "gpt-mixed");

    static Stream<TestBackend> backends() {
        return TestBackend.all();
    }

    private static GradientClipper clipper(TestBackend backend, Map<String, HostBuffer> tensors) {
        GradientClipperBuilder builder = backend.builder();
        tensors.forEach((name, buffer) -> builder.add(name, backend.place(buffer)));
        return builder.build();
    }

    private static NormType type(String name) {
        return NormType.parse(name.substring(1));
    }

    private static double tolerance(String file, NormType type) {
        if (type.equals(NormType.p(3))) return 1e-12;
        return file.equals("gpt-f64") ? 1e-14 : 2e-7;
    }

    @ParameterizedTest
    @MethodSource("backends")
    void normsAreTheFloat64Truth(TestBackend backend) {
        for (String file : FILES) {
            JsonNode expected = RealGradients.expected(file);
            Map<String, HostBuffer> tensors = RealGradients.read(file);
            try (GradientClipper clipper = clipper(backend, tensors)) {
                for (String norm : List.of("l1", "l2", "linf", "l3")) {
                    NormType type = type(norm);
                    ClipResult result = clipper.clip(
                            ClipRule.globalNorm(Double.POSITIVE_INFINITY).withNormType(type));
                    double total = expected.required("total").required(norm).doubleValue();
                    assertEquals(total, result.globalNorm(), total * tolerance(file, type), file + " " + norm);
                    assertFalse(result.nonFinite());
                    for (int i = 0; i < clipper.names().size(); i++) {
                        String name = clipper.names().get(i);
                        double truth = expected.required("norms")
                                .required(name)
                                .required(norm)
                                .doubleValue();
                        assertEquals(truth, result.tensorNorm(i), truth * tolerance(file, type), file + " " + name);
                    }
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void everyCaseWritesTheRoundedProductOrTheClampedElement(TestBackend backend) {
        for (String file : FILES) {
            for (JsonNode test : RealGradients.expected(file).required("cases")) {
                Map<String, HostBuffer> tensors = RealGradients.read(file);
                List<double[]> before =
                        tensors.values().stream().map(Values::read).toList();
                double max = test.required("max").doubleValue();
                boolean value = test.required("kind").textValue().equals("value");
                double coefficient = Double.NaN;
                try (GradientClipper clipper = clipper(backend, tensors)) {
                    if (value) {
                        clipper.clipByValue(max);
                    } else {
                        ClipResult result = clipper.clip(ClipRule.globalNorm(max)
                                .withNormType(type(test.required("norm").textValue())));
                        coefficient = result.coefficient();
                        assertEquals(Math.min(1, max / (result.globalNorm() + 1e-6)), coefficient, file);
                        assertEquals(tensors.size(), result.tensors());
                    }
                }
                List<HostBuffer> buffers = new ArrayList<>(tensors.values());
                for (int t = 0; t < buffers.size(); t++) {
                    DType dtype = buffers.get(t).dtype();
                    long[] expected = new long[before.get(t).length];
                    for (int i = 0; i < expected.length; i++) {
                        double x = before.get(t)[i];
                        double y =
                                value ? Rounding.clamped(dtype, x, -max, max) : Rounding.scaled(dtype, x, coefficient);
                        expected[i] = Rounding.bits(dtype, y);
                    }
                    assertArrayEquals(expected, Values.bits(buffers.get(t)), file + " " + test.get("norm"));
                }
            }
        }
    }

    /** Gradients after the clip equal PyTorch's to its precision, where PyTorch's total norm is finite. */
    @ParameterizedTest
    @MethodSource("backends")
    void pytorchLeavesTheSameBehind(TestBackend backend) {
        int compared = 0;
        for (String file : FILES) {
            for (JsonNode test : RealGradients.expected(file).required("cases")) {
                boolean value = test.required("kind").textValue().equals("value");
                if (!value && Double.isInfinite(RealGradients.number(test.required("torch_total")))) continue;
                Map<String, HostBuffer> tensors = RealGradients.read(file);
                double max = test.required("max").doubleValue();
                try (GradientClipper clipper = clipper(backend, tensors)) {
                    if (value) {
                        clipper.clipByValue(max);
                    } else {
                        NormType type = type(test.required("norm").textValue());
                        clipper.clip(ClipRule.globalNorm(max).withNormType(type));
                    }
                }
                // PyTorch adds norms up in the gradients' own type, so its coefficient has that type's precision.
                double relative = file.equals("gpt-f64") ? 1e-9 : file.equals("gpt-mixed") ? 0x1p-7 : 4e-6;
                for (Map.Entry<String, HostBuffer> tensor : tensors.entrySet()) {
                    JsonNode after = test.required("after").required(tensor.getKey());
                    double[] now = Values.read(tensor.getValue());
                    String what = file + " " + tensor.getKey() + " " + test.get("norm") + " " + max;
                    double l2 = after.required("l2").doubleValue();
                    assertEquals(l2, ExactNorm.compensatedL2(now), l2 * relative, what);
                    double largest = after.required("max").doubleValue();
                    assertEquals(largest, ExactNorm.max(now), largest * relative, what);
                    for (int i = 0; i < after.required("head").size(); i++) {
                        double theirs = after.required("head").required(i).doubleValue();
                        assertEquals(theirs, now[i], Math.abs(theirs) * 2 * relative + 1e-7 * largest, what);
                    }
                    compared++;
                }
            }
        }
        assertTrue(compared > 500, "compared " + compared);
    }

    /** Squares that leave the range of float: PyTorch finds infinity and zeroes all; the gradient is clipped here. */
    @ParameterizedTest
    @MethodSource("backends")
    void whatOverflowsInPytorchIsClippedHere(TestBackend backend) {
        JsonNode test = RealGradients.expected("rnn-overflow").required("cases").required(0);
        assertEquals("inf", test.required("torch_total").textValue());
        for (JsonNode after : test.required("after")) {
            assertEquals(0, after.required("max").doubleValue(), "PyTorch left nothing");
        }
        Map<String, HostBuffer> tensors = RealGradients.read("rnn-overflow");
        double max = test.required("max").doubleValue();
        try (GradientClipper clipper = clipper(backend, tensors)) {
            ClipResult result = clipper.clipByGlobalNorm(max);
            assertEquals(2.5717631898252705e23, result.globalNorm(), 2.6e23 * 2e-7);
            assertFalse(result.nonFinite());
            assertEquals(0.5, result.coefficient(), 1e-6);
            assertEquals(max, clipper.globalNorm(), 1e-6 * max);
        }
    }
}
